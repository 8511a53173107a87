"""Training with discriminators: what each loss moves, what is synthesised, and whole runs."""

from dataclasses import replace
from datetime import timedelta
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from tests.conftest import SMALL, randomise, small_config
from tests.training.processes import CLIPS
from waveflow import Vocoder
from waveflow.bijections.long_term import sharpened
from waveflow.training.adversarial import AdversarialTraining
from waveflow.training.checkpoint import newest_checkpoint
from waveflow.training.config import SPECTRA, AdversarialConfig, DataConfig, TrainingConfig
from waveflow.training.discriminators import Discriminators
from waveflow.training.run import train

FRAMES = 160


def small_training(name, **synthesis):
    """A small model in training, and a batch; nothing is logged."""
    vocoder = small_config(name)
    config = TrainingConfig(
        model=vocoder.model,
        mel=vocoder.mel,
        synthesis=replace(vocoder.synthesis, **synthesis),
        adversarial=AdversarialConfig(adversarial=1.0),
        data=DataConfig(segment_frames=FRAMES, batch_size=2),
    )
    module = AdversarialTraining(config)
    module.discriminators = Discriminators(
        period_channels=(2, 3), sizes=(512, 2048), spectrum_channels=2
    )
    randomise(module.vocoder, scale=0.05)
    module._fabric = None
    module._trainer = SimpleNamespace(world_size=1, global_rank=0, global_step=3)
    module.log = lambda *arguments, **options: None
    audio = 0.1 * torch.randn(2, FRAMES * vocoder.mel.hop_length)
    return module, audio, module.vocoder.mel(audio)


@pytest.fixture
def config(config):
    """The smoke recipe with discriminators."""
    return config.override(
        {
            "adversarial.adversarial": 1.0,
            "data.segment_frames": 24,
            "data.batch_size": 2,
            "synthesis.consistency": 2,
        }
    )


@pytest.mark.parametrize("name", SMALL)
def test_every_weight_is_trained(name):
    module, audio, mel = small_training(name, consistency=2)
    module.training_step((audio, mel), 0).backward()
    trained = dict(module.named_parameters())
    trained = {key: trained[key] for key in trained if not key.startswith("average.")}
    groups = [group["params"] for group in module.parameter_groups()]
    assert {*sum(groups, [])} == {*trained.values()}
    for key, parameter in trained.items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_each_loss_moves_its_own_side():
    module, audio, mel = small_training("source_filter")
    context = module.vocoder.context_net(mel)
    made = module.synthesise(module._noise(audio, 0), mel, context)
    judged, features = module._judge(audio, made)
    judged.backward(retain_graph=True)
    assert all(p.grad is None for p in module.vocoder.parameters())
    assert all(p.grad is not None for p in module.discriminators.parameters())
    module.discriminators.zero_grad(set_to_none=True)
    sum(module._convince(made, features)).backward()
    assert all(p.grad is None for p in module.discriminators.parameters())
    assert all(p.requires_grad for p in module.discriminators.parameters())
    assert any(p.grad is not None for p in module.vocoder.parameters())


def test_half_of_a_batch_is_the_flow_and_half_as_synthesised():
    module, audio, mel = small_training("source_filter", consistency=3, full_band=2, sharpness=2.0)
    vocoder = module.vocoder.eval()
    context = vocoder.context_net(mel)
    z = module._noise(audio, 0)
    made = module.synthesise(z, mel, context)
    alone = sharpened(vocoder.flow.bijection, 2.0).inverse(z, context)
    done = vocoder.mel_consistency(alone[1:], mel[1:], 3, 2)
    torch.testing.assert_close(made[:1], alone[:1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(made[1:], done, rtol=1e-4, atol=1e-5)


def test_the_likelihood_of_synthesis_rises_to_that_of_the_recording():
    """The gradient is that of the example that is less likely than its recording."""
    module, audio, mel = small_training("glow")
    audio = audio * torch.tensor([[0.01], [30.0]])
    zero = AdversarialConfig(adversarial=1e-30, features=0, mel=0, likelihood=0, own_likelihood=2.0)
    module.config = replace(module.config, adversarial=zero)
    module.training_step((audio, mel), 0).backward()
    found = [p.grad.clone() for p in module.vocoder.parameters()]
    module.vocoder.zero_grad(set_to_none=True)
    context = module.vocoder.context_net(mel)
    made = module.synthesise(module._noise(audio, 0), mel, context).detach()
    own = module.vocoder.flow.log_prob(made, context)
    assert (own < module.vocoder.flow.log_prob(audio, context)).tolist() == [True, False]
    (-2 * own[0] / audio.numel()).backward()
    for parameter, gradient in zip(module.vocoder.parameters(), found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-3, atol=1e-5)


def test_noise_depends_on_the_step_and_the_place_alone():
    module, audio, _ = small_training("glow", temperature=0.5)
    noise = module._noise(audio, 0)
    assert torch.equal(noise, module._noise(audio, 7))
    assert not torch.equal(noise[0], noise[1])
    assert noise.std().item() == pytest.approx(0.5, abs=0.05)
    module._trainer.global_step += 1
    assert not torch.isin(noise, module._noise(audio, 0)).any()


def test_an_interrupted_run_ends_in_the_same_bits(config, tmp_path, monkeypatch):
    small = partial(Discriminators, period_channels=(2, 3), spectrum_channels=2)
    monkeypatch.setattr("waveflow.training.adversarial.Discriminators", small)

    def last(step):
        return config.override({"optimizer.max_steps": step})

    def weights(run):
        state = torch.load(newest_checkpoint(run / "checkpoints"), weights_only=True)
        return state["state_dict"]

    train(last(3), data=CLIPS, out=tmp_path / "whole")
    stopped = train(last(3), data=CLIPS, out=tmp_path / "cut", max_time=timedelta(0))
    assert (stopped.steps, stopped.stopped_by) == (1, "time limit")
    train(last(3), data=CLIPS, out=tmp_path / "cut")
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert any(key.startswith("discriminators.") for key in one)
    for key, value in one.items():
        assert torch.equal(value, other[key]), key
    assert Vocoder.from_pretrained(tmp_path / "cut" / "model").config == config.vocoder


def test_a_gradient_that_is_not_finite_changes_neither_side():
    module, audio, mel = small_training("glow")
    module.training_step((audio, mel), 0).backward()
    next(module.discriminators.parameters()).grad.fill_(float("nan"))
    optimizer = module.configure_optimizers()["optimizer"]
    module.configure_gradient_clipping(optimizer)
    assert all(p.grad is None for group in optimizer.param_groups for p in group["params"])
    assert module.number("skipped_steps") == 1


def test_crops_that_discriminators_cannot_see_are_refused(config):
    with pytest.raises(ValueError, match="expected data.segment_frames of at least 24"):
        config.override({"data.segment_frames": 23})


@torch.no_grad()
def test_discriminators_of_their_usual_size_see_the_shortest_crops():
    scores = [outputs[-1] for outputs in Discriminators(sizes=SPECTRA)(torch.randn(1, 24 * 256))]
    assert len(scores) == 5 + len(SPECTRA)
    assert all(score.numel() and score.isfinite().all() for score in scores)

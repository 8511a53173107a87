"""From a checkpoint to new data, predicted mels, and other rates."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.processes import CLIPS, ROOT
from waveflow import Vocoder
from waveflow.audio import LogMel, MelConfig, read_audio
from waveflow.evaluation import nats_per_sample, read_recording
from waveflow.training.checkpoint import newest_checkpoint
from waveflow.training.config import TrainingConfig
from waveflow.training.corpus import load_clips
from waveflow.training.run import train

CLIP = CLIPS / "LJ002-0035.flac"


@pytest.fixture
def config(config):
    return replace(
        config,
        optimizer=replace(config.optimizer, max_steps=3),
    )


def test_init_from_takes_the_weights_and_nothing_else(config, tmp_path):
    longer = replace(config, optimizer=replace(config.optimizer, max_steps=4))
    train(longer, data=CLIPS, out=tmp_path / "first")
    model = tmp_path / "first" / "model"
    tuned = config.override({"run.init_from": str(model), "optimizer.learning_rate": 1e-9})
    outcome = train(tuned, data=CLIPS, out=tmp_path / "second")
    state = torch.load(newest_checkpoint(tmp_path / "second" / "checkpoints"), weights_only=True)
    assert (outcome.steps, state["global_step"]) == (3, 3)
    assert state["state_dict"]["average.n_averaged"] == 3
    assert all(int(s["step"]) == 3 for s in state["optimizer_states"][0]["state"].values())
    first, second = (
        Vocoder.from_pretrained(tmp_path / run / "model") for run in ("first", "second")
    )
    for name, weight in first.state_dict().items():
        tuned_weight = second.state_dict()[name].float()
        if name.endswith(".low"):  # ranges widen with what is seen, and forget slowly
            forgotten = 0.004 * (first.state_dict()[name.replace(".low", ".high")] - weight)
            assert (tuned_weight <= weight + forgotten).all()
        elif name.endswith(".high"):
            forgotten = 0.004 * (weight - first.state_dict()[name.replace(".high", ".low")])
            assert (tuned_weight >= weight - forgotten).all()
        else:
            assert torch.allclose(tuned_weight, weight.float(), atol=1e-6)
    # where the run is already there, --init-from is part of its recipe, not a fresh start
    again = train(tuned, data=CLIPS, out=tmp_path / "second")
    assert again.nats_per_sample == outcome.nats_per_sample
    with pytest.raises(ValueError, match=r"run\.init_from: .* then, None now"):
        train(config, data=CLIPS, out=tmp_path / "second")


def test_init_from_a_model_of_another_make_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match=r"ljspeech: expected .* model\.flows: 3 there, 2 here"):
        train(config.override({"run.init_from": "ljspeech"}), data=CLIPS, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_flow_grows(config, tmp_path, ljspeech, speech):
    """New flows are rotations at first, so the bigger model begins where the smaller one was."""
    model = replace(ljspeech.config.model, flows=4)
    grown = replace(config, model=model).override(
        {"run.init_from": "ljspeech", "optimizer.learning_rate": 1e-9, "optimizer.max_steps": 1}
    )
    train(grown, data=CLIPS, out=tmp_path / "run")
    vocoder = Vocoder.from_pretrained(tmp_path / "run" / "model")
    with torch.no_grad():
        before, after = (model.log_prob(speech).item() for model in (ljspeech, vocoder))
    assert len(vocoder.state_dict()) > len(ljspeech.state_dict())
    assert after / speech.shape[1] == pytest.approx(before / speech.shape[1], abs=0.05)
    smaller = replace(grown, model=replace(model, flows=2))
    with pytest.raises(ValueError, match=r"model\.flows: 3 there, 2 here"):
        train(smaller, data=CLIPS, out=tmp_path / "smaller")


def test_the_bundled_vocoder_can_be_tuned(tmp_path, ljspeech):
    recipe = TrainingConfig.from_dict(
        {
            **ljspeech.config.to_dict(),
            "data": {"segment_frames": 16, "batch_size": 2},
            "optimizer": {"max_steps": 2, "learning_rate": 1e-5},
            "run": {"init_from": "ljspeech", "loggers": ["csv"], "audio_clips": 0},
        }
    )
    outcome = train(recipe, data=CLIPS, out=tmp_path)
    recording = read_recording(sorted(CLIPS.glob("*.flac"))[0], LogMel(ljspeech.config.mel))
    before = nats_per_sample(ljspeech, recording)
    after = nats_per_sample(Vocoder.from_pretrained(tmp_path / "model"), recording)
    assert outcome.nats_per_sample == pytest.approx(before, abs=0.3)
    assert after == pytest.approx(before, abs=0.3)


@pytest.fixture
def with_mels(tmp_path):
    """Recordings with mels beside them that differ from their own, as predicted ones do."""
    folder = tmp_path / "data"
    (folder / "mels").mkdir(parents=True)
    log_mel = LogMel(MelConfig())
    for path in sorted(CLIPS.glob("*.flac"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
        audio, _ = read_audio(path)
        mel = log_mel(audio[None])[0] + 0.25
        np.save(folder / "mels" / f"{path.stem}.npy", mel.clamp_max(2).numpy())
    return folder


def test_predicted_mels_are_conditioned_on(config, with_mels, tmp_path):
    log_mel = LogMel(config.mel)
    paths = sorted(with_mels.glob("*.flac"))
    own = list(load_clips(paths, log_mel))
    predicted = list(load_clips(paths, log_mel, mels=with_mels / "mels"))
    for one, other in zip(own, predicted, strict=True):
        assert torch.equal(one.audio, other.audio)
        inner = slice(None, -2)  # the last frames saw what is cut off here
        assert torch.allclose(one.mel[:, inner] + 0.25, other.mel[:, inner], atol=1e-5)
    tuned = replace(config, data=replace(config.data, mels="mels"))
    with_own = train(config, data=with_mels, out=tmp_path / "own")
    with_predicted = train(tuned, data=with_mels, out=tmp_path / "predicted")
    assert with_own.nats_per_sample != with_predicted.nats_per_sample


def cut(mel, frames):
    return mel[:, :frames] if frames > 0 else np.pad(mel, ((0, 0), (0, -frames)), mode="edge")


@pytest.mark.parametrize("change", [-2, -1, 1, 2])
def test_lengths_that_nearly_fit_are_reconciled(config, with_mels, change):
    source = sorted(with_mels.glob("*.flac"))[0]
    path = with_mels / "mels" / f"{source.stem}.npy"
    mel = np.load(path)
    frames = mel.shape[1]
    np.save(path, cut(mel, frames + change if change < 0 else -change))
    (clip,) = load_clips([source], LogMel(config.mel), mels=with_mels / "mels")
    assert clip.mel.shape[1] == frames + min(change, 0)
    assert len(clip.audio) == 256 * clip.mel.shape[1]


def test_other_mels_are_refused_with_the_numbers(config, with_mels):
    source = sorted(with_mels.glob("*.flac"))[0]
    path = with_mels / "mels" / f"{source.stem}.npy"
    mel = np.load(path)
    frames = mel.shape[1]

    def message():
        with pytest.raises((ValueError, OSError)) as told:
            list(load_clips([source], LogMel(config.mel), mels=with_mels / "mels"))
        return str(told.value)

    np.save(path, mel[:, :-5])
    assert f"expected a mel of {frames} frames" in message()
    assert f"got {frames - 5}" in message()
    np.save(path, mel[:40])
    assert "expected shape (batch, 80, frames)" in message()
    np.save(path, np.exp(mel))
    assert "natural-log" in message()
    path.unlink()
    assert path.name in message()


@pytest.mark.parametrize("rate", ["16k", "24k"])
def test_other_rates_train_and_vocode_by_config_alone(config, tmp_path, rate):
    """With the mel and groups of the recipes for these rates, at a size for tests."""
    published = TrainingConfig.from_yaml(
        ROOT / "recipes" / "ljspeech" / f"source_filter_{rate}.yaml"
    )
    model = replace(
        config.model,
        groups=published.model.groups,
        whitening_groups=published.model.whitening_groups,
        block=published.model.block,
    )
    recipe = replace(config, mel=published.mel, model=model).override(
        {"optimizer.max_steps": 100, "run.checkpoint_every": 100}
    )
    first = train(recipe.override({"optimizer.max_steps": 1}), data=CLIPS, out=tmp_path / "run")
    outcome = train(recipe, data=CLIPS, out=tmp_path / "run")
    # the whitening starts from the mel's own levels, so one step is worth much already
    assert outcome.nats_per_sample > first.nats_per_sample + 0.2
    vocoder = Vocoder.from_pretrained(tmp_path / "run" / "model")
    recorded, sample_rate = read_audio(CLIP, sample_rate=recipe.mel.sample_rate)
    frames = len(recorded) // vocoder.config.mel.hop_length
    made = vocoder.mel(recorded[None])
    audio = vocoder(made, seed=0)
    assert audio.shape == (1, frames * vocoder.config.mel.hop_length)
    # what it says has the recording's loudness over time, as the mel tells it
    again = vocoder.mel(audio.clamp(-1, 1))
    loudness = torch.corrcoef(torch.stack([made[0].mean(0), again[0].mean(0)]))[0, 1]
    assert loudness > 0.9
    assert sample_rate == recipe.mel.sample_rate

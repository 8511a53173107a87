"""A run that diverges goes back to its last good checkpoint, at a lower rate, and says so."""

import math
from dataclasses import replace

import pytest
import torch

from tests.training.processes import CLIPS
from waveflow.bijections import Chain, InvertibleConv1x1, PLUConv1x1, Squeeze
from waveflow.bijections.conv1x1 import condition_numbers
from waveflow.training.checkpoint import newest_checkpoint
from waveflow.training.module import LikelihoodTraining
from waveflow.training.run import train


@pytest.fixture
def config(config):
    return replace(
        config,
        optimizer=replace(config.optimizer, max_steps=15, patience=3, warmup_steps=0),
        run=replace(config.run, log_every=1),
    )


def poison(monkeypatch, when, how):
    """Do ``how(module)`` before the step after which ``when(step)`` holds."""
    step = LikelihoodTraining.training_step

    def training_step(self, batch, batch_index):
        if when(self.trainer.global_step):
            return how(self) or step(self, batch, batch_index) * float("nan")
        return step(self, batch, batch_index)

    monkeypatch.setattr(LikelihoodTraining, "training_step", training_step)


def rate_at(config, step):
    return (
        config.optimizer.learning_rate
        / 2
        * (1 + math.cos(math.pi * step / config.optimizer.max_steps))
    )


def test_steps_without_a_finite_gradient_are_skipped_and_counted(config, tmp_path, monkeypatch):
    poison(monkeypatch, lambda step: step in (5, 6, 9), lambda module: None)
    outcome = train(config, data=CLIPS, out=tmp_path)
    state = torch.load(newest_checkpoint(tmp_path / "checkpoints"), weights_only=True)
    assert state["state_dict"]["skipped_steps"] == 3
    assert state["state_dict"]["rate_scale"] == 1
    assert outcome.nats_per_sample > 1.5


def test_too_many_in_a_row_go_back_to_the_last_good_checkpoint(config, tmp_path, monkeypatch):
    seen = {}

    def look(self, *args):
        seen[self.trainer.global_step] = (
            self.trainer.optimizers[0].param_groups[0]["lr"],
            self.vocoder.context_net.start.weight.detach().clone(),
        )

    monkeypatch.setattr(LikelihoodTraining, "on_train_batch_start", look)
    poison(monkeypatch, lambda step: 10 <= step < 13, lambda module: None)
    expected = (
        r"step 13: 3 steps in a row had no finite gradient; returned to the weights of step 8"
    )
    with pytest.warns(UserWarning, match=expected):
        train(config, data=CLIPS, out=tmp_path)
    assert torch.equal(seen[13][1], seen[8][1])
    assert not torch.equal(seen[12][1], seen[8][1])
    assert seen[12][0] == pytest.approx(rate_at(config, 12))
    assert seen[13][0] == pytest.approx(rate_at(config, 13) / 2)
    assert seen[14][0] == pytest.approx(rate_at(config, 14) / 2)
    state = torch.load(newest_checkpoint(tmp_path / "checkpoints"), weights_only=True)
    assert state["state_dict"]["rate_scale"] == 0.5  # also after a resumption
    assert state["state_dict"]["skipped_steps"] == 3


@pytest.mark.filterwarnings("ignore:.*returned to the weights")
def test_a_run_that_cannot_go_on_says_why(config, tmp_path, monkeypatch):
    poison(monkeypatch, lambda step: step >= 6, lambda module: None)
    config = replace(config, optimizer=replace(config.optimizer, max_steps=1000))
    expected = r"no finite gradient, as after each of 5 returns to .*step-000000004\.ckpt"
    with pytest.raises(ValueError, match=expected):
        train(config, data=CLIPS, out=tmp_path)
    good = newest_checkpoint(tmp_path / "checkpoints")
    assert good.name == "step-000000004.ckpt"
    weights = torch.load(good, weights_only=True)["state_dict"].values()
    assert all(weight.isfinite().all() for weight in weights)


def shrink(factor):
    """Make a 1x1 matrix nearly singular."""

    def how(module):
        conv = next(m for m in module.vocoder.modules() if isinstance(m, InvertibleConv1x1))
        with torch.no_grad():
            conv.weight[0] = conv.weight[1] + factor * conv.weight[0]

    return how


def test_a_matrix_that_nears_singularity_is_told(config, tmp_path, monkeypatch):
    poison(monkeypatch, lambda step: step == 10, shrink(1e-5))
    with pytest.warns(
        UserWarning, match=r"step 11: the 1x1 matrix bijections\..* is close to singular"
    ):
        train(config, data=CLIPS, out=tmp_path)


def test_a_singular_matrix_goes_back_before_it_bites(config, tmp_path, monkeypatch):
    poison(monkeypatch, lambda step: step == 10, shrink(0))
    with pytest.warns(UserWarning, match=r"almost singular .*; returned to .* step 8"):
        outcome = train(config, data=CLIPS, out=tmp_path)
    assert outcome.nats_per_sample > 1.5


@pytest.mark.usefixtures("double")
def test_condition_numbers():
    dense, factored = InvertibleConv1x1(4), PLUConv1x1(4)
    chain = Chain(Squeeze(4), dense, Chain(factored))
    assert condition_numbers(chain) == pytest.approx(
        {"bijections.1": 1, "bijections.2.bijections.0": 1}
    )
    with torch.no_grad():
        dense.weight[:] = torch.diag(torch.tensor([1.0, 10.0, 100.0, 0.1]))
        factored.log_diagonal[0] = float("nan")
    found = condition_numbers(chain)
    assert found["bijections.1"] == pytest.approx(1000)
    assert math.isnan(found["bijections.2.bijections.0"])

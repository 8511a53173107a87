"""Two real processes over gloo learn what one does."""

import csv
from dataclasses import replace

import pytest
import torch

from tests.training.processes import CLIPS, ROOT, start
from tests.warm import WARM_PYTHON
from waveflow.training.checkpoint import newest_checkpoint
from waveflow.training.run import train

STEPS = 8
TORCHRUN = [WARM_PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def config(config):
    lists = ROOT / "data" / "splits"
    return replace(
        config,
        data=replace(
            config.data,
            batch_size=8,
            validation_list=str(lists / "ljspeech_validation.txt"),  # 3 clips: uneven shares
        ),
        optimizer=replace(config.optimizer, max_steps=STEPS),
        run=replace(
            config.run,
            checkpoint_every=4,
            validate_every=4,
            log_every=1,
        ),
    )


def run(config, out, *options, **keywords):
    process = start(config, out, *options, **keywords)
    stdout, stderr = process.communicate(timeout=180)
    assert process.returncode == 0, stderr
    assert stdout.count("nats per sample on the validation clips") == 1  # one speaks for all
    return out


def curve(run, name):
    """Values of a scalar by step."""
    with (next(run.glob("csv-*")) / "metrics.csv").open() as file:
        return {int(row["step"]): float(row[name]) for row in csv.DictReader(file) if row[name]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("devices")


def test_two_processes_learn_what_one_does(config, folder):
    one = folder / "one"
    train(config, data=CLIPS, out=one, device="cpu")
    two = run(config, folder / "two", "--devices", "2")
    for name in ("train/nats_per_sample", "train/grad_norm", "validation/nats_per_sample"):
        expected, got = curve(one, name), curve(two, name)
        assert got.keys() == expected.keys()
        for step, value in expected.items():
            assert got[step] == pytest.approx(value, rel=2e-3, abs=2e-4), (name, step)
    assert len(curve(one, "train/nats_per_sample")) == STEPS
    weights = [
        torch.load(newest_checkpoint(path / "checkpoints"), weights_only=True)["state_dict"]
        for path in (one, two)
    ]
    for name, expected in weights[0].items():
        error = (weights[1][name].double() - expected.double()).norm()
        assert error <= 1e-2 * expected.double().norm() + 1e-3, name


def test_a_run_goes_on_with_more_processes_and_parts(config, folder):
    """Begun by one process, gone on by two under torchrun, in two parts, rebuilding activations."""
    first = replace(config, optimizer=replace(config.optimizer, max_steps=4))
    train(first, data=CLIPS, out=folder / "mixed", device="cpu")
    compute = replace(config.compute, accumulate=2, reversible=True)
    launcher = [*TORCHRUN, "--no-python", WARM_PYTHON]
    options = ["--devices", "2", "--resume"]
    second = replace(config, compute=compute)
    run(second, folder / "mixed", *options, launcher=launcher)
    state = torch.load(newest_checkpoint(folder / "mixed" / "checkpoints"), weights_only=True)
    assert state["global_step"] == STEPS
    assert state["state_dict"]["average.n_averaged"] == STEPS


def test_two_processes_stop_together_and_go_on(config, folder):
    out = folder / "stopped"
    process = start(config, out, "--devices", "2", "--max-time", "00:00:00")
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert "stopped after step 1 (time limit)" in stdout
    run(config, out, "--devices", "2", "--resume")
    whole = torch.load(newest_checkpoint(folder / "two" / "checkpoints"), weights_only=True)
    parts = torch.load(newest_checkpoint(out / "checkpoints"), weights_only=True)
    for name, expected in whole["state_dict"].items():
        assert torch.equal(parts["state_dict"][name], expected), name


def test_a_batch_that_does_not_divide_is_refused(config, folder):
    odd = replace(config, data=replace(config.data, batch_size=7))
    with pytest.raises(ValueError, match="expected data.batch_size to be a multiple of 2 devices"):
        train(odd, data=CLIPS, out=folder / "odd", devices=2)
    assert not (folder / "odd").exists()

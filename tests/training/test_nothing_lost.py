"""Whatever befalls a run, it goes on as if nothing had: kills, signals, damage, a full disk."""

import os
import random
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from tests.training.processes import CLIPS, start
from tests.warm import WARM_PYTHON
from waveflow.training.checkpoint import (
    SafeCheckpointIO,
    checkpoint_path,
    newest_checkpoint,
    remove_leftovers,
)
from waveflow.training.run import train

KILLS = 10 if os.environ.get("WAVEFLOW_LONG_TESTS") else 5


@pytest.fixture
def config(config):
    """Short steps, and checkpoints so often that kills hit the writing of them."""
    config = config.override({"model.flows": 1, "model.layers": 1, "data.segment_frames": 8})
    return replace(
        config,
        optimizer=replace(config.optimizer, max_steps=15 * KILLS),
        run=replace(config.run, checkpoint_every=3, validate_every=25),
    )


def states(run):
    """Everything in the last checkpoint that goes on to matter, flat, by name."""
    checkpoint = torch.load(newest_checkpoint(run / "checkpoints"), weights_only=True)
    kept = {key: checkpoint[key] for key in ("state_dict", "optimizer_states", "lr_schedulers")}

    def flat(prefix, value):
        if isinstance(value, dict):
            pairs = value.items()
        elif isinstance(value, list | tuple):
            pairs = enumerate(value)
        else:
            return {prefix: torch.as_tensor(value if value is not None else 0)}
        return {
            name: tensor
            for key, item in pairs
            for name, tensor in flat(f"{prefix}/{key}", item).items()
        }

    return flat("", kept)


def wait_for(true, process, *, seconds=120):
    """Until something is so, which only a living process can bring about."""
    end = time.monotonic() + seconds
    while not true():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)


def finish(process):
    """What a run says that ends as it should."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def newest(run):
    return max((run / "checkpoints").glob("step-*"), default=None)


def test_kills_leave_no_trace(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run([WARM_PYTHON, "-c", ""], check=True)  # the first start of all takes longer
    began = time.monotonic()
    process = start(config, whole)
    wait_for(lambda: newest(whole), process)
    startup = time.monotonic() - began
    finish(process)
    training = time.monotonic() - began - startup
    dice = random.Random(7)
    steps = set()
    for _ in range(KILLS):
        before = newest(killed)
        process = start(config, killed)
        if dice.random() < 0.3:  # before it has begun
            time.sleep(startup * dice.uniform(0, 0.8))
        else:  # or any time after
            wait_for(lambda: newest(killed) != before, process)  # noqa: B023
            time.sleep(training / 20 * dice.random())
        process.kill()
        process.communicate()  # until nobody can write any more
        steps.add(newest(killed))
    assert not (killed / "done").exists()
    assert len(steps) >= KILLS // 2
    finish(start(config, killed))
    assert (killed / "done").read_text() == (whole / "done").read_text()
    expected, got = states(whole), states(killed)
    assert expected.keys() == got.keys()
    assert [name for name in expected if not torch.equal(expected[name], got[name])] == []
    for name in ("model.safetensors", "config.yaml"):
        assert (killed / "model" / name).read_bytes() == (whole / "model" / name).read_bytes()
    assert not list((killed / "checkpoints").glob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_and_the_run_goes_on(config, tmp_path, number):
    config = replace(
        config,
        optimizer=replace(config.optimizer, max_steps=100_000),
        run=replace(config.run, checkpoint_every=100_000, validate_every=100_000),
    )
    run = tmp_path / "run"
    process = start(config, run)
    wait_for(lambda: newest(run), process)
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == (0 if number == signal.SIGTERM else 130), err
    assert "stopped after step" in out
    assert number.name in out
    assert newest_checkpoint(run / "checkpoints").name != "step-000000000.ckpt"
    assert (run / "model" / "model.safetensors").is_file()


def test_a_signal_to_all_processes_of_a_run_stops_it_after_the_step(config, tmp_path):
    """Schedulers signal a script, which passes it on, the run that it has started, its workers."""
    config = replace(
        config,
        data=replace(config.data, workers=2),
        optimizer=replace(config.optimizer, max_steps=100_000),
        run=replace(config.run, checkpoint_every=100_000, validate_every=100_000),
    )
    run = tmp_path / "run"
    leader = "import os, sys; from waveflow.cli import main; print(os.getpid(), flush=True)"
    leader += "; sys.exit(main(sys.argv[3:]))"
    process = start(config, run, launcher=[WARM_PYTHON, "-c", leader])
    group = int(process.stdout.readline())
    wait_for(lambda: newest(run), process)
    time.sleep(0.5)
    os.killpg(group, signal.SIGTERM)
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert "stopped after step" in finish(process)
    assert newest_checkpoint(run / "checkpoints").name != "step-000000000.ckpt"
    with pytest.raises(ProcessLookupError):  # no worker is left
        os.killpg(group, 0)


def test_a_damaged_checkpoint_is_passed_over(config, tmp_path):
    short = replace(config, optimizer=replace(config.optimizer, max_steps=7))
    train(short, data=CLIPS, out=tmp_path / "whole")
    train(short, data=CLIPS, out=tmp_path / "damaged")
    newest = tmp_path / "damaged" / "checkpoints" / "step-000000007.ckpt"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1  # a single bit
    newest.write_bytes(content)
    with pytest.warns(UserWarning, match=r"step-000000007.ckpt: skipped .*wrong checksum"):
        train(short, data=CLIPS, out=tmp_path / "damaged")
    expected, got = states(tmp_path / "whole"), states(tmp_path / "damaged")
    assert all(torch.equal(expected[name], got[name]) for name in expected)


@pytest.mark.parametrize("damage", ["cut short", "empty", "no zip file"])
def test_damage_of_any_kind_is_found(tmp_path, damage):
    io = SafeCheckpointIO()
    for step in (1, 2):
        io.save_checkpoint({"weights": torch.randn(1000)}, checkpoint_path(tmp_path, step))
    newest = checkpoint_path(tmp_path, 2)
    assert newest_checkpoint(tmp_path) == newest
    content = newest.read_bytes()
    newest.write_bytes(
        {"cut short": content[:-100], "empty": b"", "no zip file": bytes(4000)}[damage]
    )
    with pytest.warns(UserWarning, match="damaged"):
        assert newest_checkpoint(tmp_path) == checkpoint_path(tmp_path, 1)


def test_two_checkpoints_are_kept_and_leftovers_removed(tmp_path):
    io = SafeCheckpointIO()
    for step in (5, 10, 100, 20):
        io.save_checkpoint({"step": step}, checkpoint_path(tmp_path, step))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000020.ckpt",
        "step-000000100.ckpt",
    ]
    (tmp_path / ".step-000000200-x1y2.ckpt").write_bytes(b"of a process that was killed")
    remove_leftovers(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


@contextmanager
def small_disk(folder, megabytes):
    """A real file system of a few megabytes at ``folder``."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_told_and_loses_nothing(tmp_path):
    io = SafeCheckpointIO()
    with small_disk(tmp_path / "disk", 1) as disk:
        first = checkpoint_path(disk, 1)
        io.save_checkpoint({"weights": torch.randn(100_000)}, first)
        before = first.read_bytes()
        with pytest.raises(OSError, match="the disk is full") as told:
            io.save_checkpoint({"weights": torch.randn(200_000)}, checkpoint_path(disk, 2))
        assert "expected room for 0.8 MB, got 0.6 MB; step-000000001.ckpt is safe" in str(
            told.value
        )
        assert [path.name for path in disk.iterdir()] == [first.name]
        assert first.read_bytes() == before


def test_a_run_on_a_full_disk_ends_with_one_line(config, tmp_path):
    with small_disk(tmp_path / "disk", 1) as disk:
        # the recipe's file and the first checkpoint fit, but not three of them
        process = start(config, disk / "run")
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "the disk is full" in err.splitlines()[-1]
        assert "run the same command again" in err.splitlines()[-1]
        assert newest_checkpoint(disk / "run" / "checkpoints") is not None
    process = start(config, tmp_path / "later", "--max-time", "00:00:00")
    finish(process)

"""Two real processes vocode what one does, bit for bit, and tell once how it ended."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.training.processes import CLIPS
from waveflow.cli import main

SYNTHESIS = ["--model", "ljspeech-nano", "--device", "cpu", "--seed", "7"]


@pytest.fixture
def folder(tmp_path):
    """Three short clips, one of them deeper, one that is none."""
    names = sorted(CLIPS.glob("*.flac"), key=lambda path: path.stat().st_size)[:3]
    (tmp_path / "clips" / "deep").mkdir(parents=True)
    for name, place in zip(names, ("", "", "deep"), strict=True):
        (tmp_path / "clips" / place / name.name).symlink_to(name)
    (tmp_path / "clips" / "bad.wav").write_text("no sound")
    return tmp_path / "clips"


def sounds(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.wav")}


def test_two_processes_make_what_one_does(folder, tmp_path, capsys):
    words = ["vocode", str(folder), *SYNTHESIS, "-o"]
    assert main([*words, str(tmp_path / "one")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    two = tmp_path / "two"
    (tmp_path / "lightning.py").write_text("raise ImportError('not here')")
    places = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    without_lightning = {"PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(
        [sys.executable, "-m", "waveflow", *words, str(two), "--devices", "2"],
        env={**os.environ, "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "", **without_lightning},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines() == [line]
    assert len(sounds(two)) == 3
    assert sounds(two) == sounds(tmp_path / "one")
    assert not [path for path in two.rglob(".*")]


@pytest.fixture
def busy(tmp_path):
    """Two processes in the midst of long mels, and the folder they write into."""
    (tmp_path / "mels").mkdir()
    frames = np.random.default_rng(0).uniform(-8, -2, (80, 200_000)).astype("float32")
    for name in ("a", "b", "c"):
        np.save(tmp_path / "mels" / f"{name}.npy", frames)
    out = tmp_path / "out"
    words = ["vocode", tmp_path / "mels", "-o", out, *SYNTHESIS, "--devices", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "waveflow", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while not out.is_dir() or sum(p.stat().st_size > 10_000 for p in out.iterdir()) < 2:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield process, out
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stderr.close()


def children(pid):
    """Processes that a process has started, and that compute."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(one) for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


linux = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")


@linux
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "Ctrl-C"])
def test_who_is_interrupted_cleans_up(busy, how):
    """SIGTERM and SIGINT reach the main process alone, Ctrl-C reaches all of them."""
    process, out = busy
    started = children(process.pid)
    assert len(started) == 2
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(getattr(signal, how))
    assert process.wait(30) == 130
    assert process.stderr.read() == ""
    assert list(out.iterdir()) == []
    assert not any(Path(f"/proc/{one}").exists() for one in started)


@linux
def test_a_process_that_dies_is_told_in_a_line(busy):
    process, out = busy
    os.kill(children(process.pid)[0], signal.SIGKILL)
    assert process.wait(30) == 1
    (line,) = process.stderr.read().splitlines()
    assert line.startswith("waveflow: error: expected all processes to finish; one has died")


@linux
def test_nobody_outlives_the_main_process(busy):
    process, out = busy
    started = children(process.pid)
    process.kill()
    process.wait()
    end = time.monotonic() + 20
    while any(Path(f"/proc/{one}").exists() for one in started):
        assert time.monotonic() < end
        time.sleep(0.05)

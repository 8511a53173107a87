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

from tests.conftest import ROOT
from tests.warm import WARM_PYTHON
from waveflow.cli import main

CLIPS = ROOT / "data" / "smoke"
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


VOCODE = """
import multiprocessing, os, sys
from waveflow.cli import main

os.setpgrp()
multiprocessing.set_executable(sys.argv.pop(1))
with open("pid", "w") as file:
    file.write(str(os.getpid()))
sys.exit(main())
"""
"""The command as the first of its process group; what it starts is started by an interpreter."""


@pytest.fixture(scope="module")
def mels(tmp_path_factory):
    """Three mels of forty minutes each."""
    folder = tmp_path_factory.mktemp("mels")
    frames = np.random.default_rng(0).uniform(-8, -2, (80, 1000)).astype("float32")
    np.save(folder / "a.npy", np.tile(frames, 200))
    for name in ("b", "c"):
        (folder / f"{name}.npy").hardlink_to(folder / "a.npy")
    return folder


class Vocoding:
    """A run of the command.

    Attributes:
        process: stands for the run; it ends as the run ends, and has its stderr.
        pid: number of the run itself, and of its group.
    """

    def __init__(self, folder, words):
        command = [WARM_PYTHON, "-c", VOCODE, sys.executable, *map(str, words)]
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        self.pid_file = folder / "pid"

    @property
    def pid(self):
        return int(self.pid_file.read_text())

    @property
    def processes(self):
        """Those that compute: a server has forked them."""
        (server,) = [
            one
            for one in started_by(self.pid)
            if b"forkserver" in Path(f"/proc/{one}/cmdline").read_bytes()
        ]
        return started_by(server)


def started_by(pid):
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.fixture
def busy(mels, tmp_path):
    """Two processes in the midst of long mels, and the folder they write into."""
    out = tmp_path / "out"
    run = Vocoding(tmp_path, ["vocode", mels, "-o", out, *SYNTHESIS, "--devices", "2"])
    try:
        end = time.monotonic() + 120
        while not out.is_dir() or sum(p.stat().st_size > 10_000 for p in out.iterdir()) < 2:
            assert run.process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
        yield run, out
    finally:
        with suppress(OSError):
            os.killpg(run.pid, signal.SIGKILL)
        run.process.wait()
        run.process.stderr.close()


linux = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")


@linux
@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "Ctrl-C"])
def test_who_is_interrupted_cleans_up(busy, how):
    """SIGTERM and SIGINT reach the main process alone, Ctrl-C reaches all of them."""
    run, out = busy
    started = run.processes
    assert len(started) == 2
    if how == "Ctrl-C":
        os.killpg(run.pid, signal.SIGINT)
    else:
        os.kill(run.pid, getattr(signal, how))
    assert run.process.wait(30) == 130
    assert run.process.stderr.read() == ""
    assert list(out.iterdir()) == []
    assert not any(Path(f"/proc/{one}").exists() for one in started)


@linux
def test_a_process_that_dies_is_told_in_a_line(busy):
    run, out = busy
    os.kill(run.processes[0], signal.SIGKILL)
    assert run.process.wait(30) == 1
    (line,) = run.process.stderr.read().splitlines()
    assert line.startswith("waveflow: error: expected all processes to finish; one has died")


@linux
def test_nobody_outlives_the_main_process(busy):
    run, out = busy
    started = run.processes
    os.kill(run.pid, signal.SIGKILL)
    run.process.wait()
    end = time.monotonic() + 20
    while any(Path(f"/proc/{one}").exists() for one in started):
        assert time.monotonic() < end
        time.sleep(0.05)

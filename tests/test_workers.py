"""Two real processes vocode what one does, bit for bit, and tell once how it ended."""

import os
import subprocess
import sys

import pytest

from tests.training.processes import CLIPS
from waveflow.cli import main
from waveflow.cli.workers import deal

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
    done = subprocess.run(
        [sys.executable, "-m", "waveflow", *words, str(two), "--devices", "2"],
        env={**os.environ, "OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines() == [line]
    assert len(sounds(two)) == 3
    assert sounds(two) == sounds(tmp_path / "one")
    assert not [path for path in two.rglob(".*")]


@pytest.mark.parametrize("shares", [1, 2, 3, 9])
def test_shares_are_fair_and_whole(shares):
    costs = [7.0, 1.0, 4.0, 4.0, 0.0, 0.0, 9.0, 2.5]
    dealt = deal(costs, shares)
    assert sorted(item for share in dealt for item in share) == list(range(len(costs)))
    for share in dealt:
        assert [costs[item] for item in share] == sorted((costs[i] for i in share), reverse=True)
    longest = max(sum(costs[item] for item in share) for share in dealt)
    assert longest <= 4 / 3 * max(sum(costs) / shares, max(costs)) + 1e-9

"""The benchmarks that chose the bundled vocoders run on any CPU, and say plausible things."""

import json
import os
import subprocess

import pytest

from tests.warm import WARM_PYTHON


@pytest.fixture
def run(short_repository):
    """What a benchmark prints, one thread, on two short clips."""

    def run(script, *arguments):
        done = subprocess.run(
            [WARM_PYTHON, short_repository / "benchmarks" / script, *map(str, arguments)],
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
            cwd=short_repository,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return done.stdout

    return run


def test_a_model_is_trained_for_its_time_and_measured_once(run, tmp_path):
    small = "small=recipes/ljspeech/smoke.yaml,model.channels=8,model.layers=1"
    arguments = ["--data", "data/smoke", "--out", tmp_path, "--minutes", "0.01", small]
    shown = run("compare.py", *arguments)
    header, _, row = shown.splitlines()
    assert header.startswith("| model | parameters | GMAC/s | steps | nats/sample | PESQ-wb |")
    assert row.startswith("| `small` | ")
    figures = json.loads((tmp_path / "small" / "figures.json").read_text())
    assert 1 <= figures["steps"] <= 600  # 0.6 s of the processor
    assert figures["consistency 8"]["pesq"] > figures["consistency 0"]["pesq"]
    written = (tmp_path / "small" / "run" / "done").stat().st_mtime_ns
    assert run("compare.py", *arguments) == shown
    assert (tmp_path / "small" / "run" / "done").stat().st_mtime_ns == written


def test_quality_rises_with_iterations(run, tmp_path):
    figures = tmp_path / "grid.json"
    clip = "data/clips/LJ001-0016.flac"
    shown = run(
        "synthesis.py", clip, "--temperatures", "0.6", "--iterations", "0,4", "--json", figures
    )
    grid = json.loads(figures.read_text())
    assert set(grid) == {"0.6", "envelope", "noise"}
    for none, some in (row.values() for row in grid.values()):
        assert some[0] > none[0] + 0.5
        assert some[1] > none[1]
    assert grid["0.6"]["4"][0] > max(grid[name]["4"][0] for name in ("envelope", "noise"))
    assert shown.splitlines()[2].startswith("| 0.6 | ")


def test_the_curve_is_drawn(run, tmp_path):
    names = ["waveflow ljspeech-nano", "Vocos", "HiFi-GAN V1", "HiFi-GAN V2", "HiFi-GAN V3"]
    rows = [{"vocoder": name, "speed": 10.0 + i} for i, name in enumerate(names)]
    peers, picture = tmp_path / "peers.json", tmp_path / "curve.png"
    peers.write_text(json.dumps({"rows": rows}))
    run("curve.py", peers, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")

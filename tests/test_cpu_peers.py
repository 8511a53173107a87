"""The speeds of the peers are measured, or the user is told what is missing."""

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from tests.warm import WARM_PYTHON
from waveflow.pretrained.hub import bundled

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPT = BENCHMARKS / "cpu_peers.py"
PUBLISHED = {"HiFi-GAN V1": 13.92, "HiFi-GAN V2": 0.92, "HiFi-GAN V3": 1.46}  # parameters, M


@pytest.mark.skipif(
    not (find_spec("vocos") and find_spec("transformers")), reason="needs the extra peers"
)
def test_all_are_measured_in_one_run(tmp_path):
    figures = tmp_path / "figures.json"
    options = "--seconds 0.2 --rounds 1 --threads 1 --json"
    command = [WARM_PYTHON, SCRIPT, *options.split(), figures]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    rows = {row.pop("vocoder"): row for row in json.loads(figures.read_text())["rows"]}
    own = [key for name in bundled() for key in (f"waveflow {name}", f"{name}, plain")]
    assert list(rows) == [*own, "Vocos", *PUBLISHED]
    for name, row in rows.items():
        assert all(math.isfinite(value) and value > 0 for value in row.values())
        assert f"\n| {name} | {row['parameters']:.2f} | " in shown
    for name, millions in PUBLISHED.items():
        assert rows[name]["parameters"] == pytest.approx(millions, abs=0.01)
    for name in bundled():  # the same models, the engine with less arithmetic
        engine, plain = rows[f"waveflow {name}"], rows[f"{name}, plain"]
        assert engine["parameters"] == plain["parameters"]
        assert engine["gmac_per_s"] < plain["gmac_per_s"]
    # 17 frames make 16 hops; a frame costs the embedding, eight blocks and the head
    frame = 80 * 512 * 7 + 8 * (512 * 7 + 2 * 512 * 1536) + 512 * 1026
    expected = 17 * frame / 1e9 / (16 * 256 / 22050)
    assert rows["Vocos"]["gmac_per_s"] == pytest.approx(expected)
    assert rows["Vocos"]["to_vocos"] == 1


def test_what_is_missing_is_told(tmp_path):
    (tmp_path / "transformers.py").write_text("raise ImportError('not here')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, SCRIPT, "--seconds", "0.2"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 1
    assert "pip install 'waveflow[peers]' (not here)" in result.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_no_gpu_is_told():
    command = [WARM_PYTHON, BENCHMARKS / "gpu_peers.py"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 2
    assert "expected a CUDA device; torch sees none" in result.stderr
    assert result.stdout == ""

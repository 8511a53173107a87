"""The benchmark of training runs on any CPU, and says plausible things."""

import json
import math
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "train.py"
SMALLEST = "--model lapflow --channels 16 --layers 1 --flows 6 --batch 1 --samples 32768"


def test_training_is_measured(tmp_path):
    figures = tmp_path / "figures.json"
    options = f"{SMALLEST} --device cpu --threads 1 --reversible off,on --repeats 2 --profile"
    command = [sys.executable, SCRIPT, *options.split(), "--json", figures]
    shown = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout
    rows = json.loads(figures.read_text())["rows"]
    assert [row["reversible"] for row in rows] == ["off", "on"]
    for row in rows:
        numbers = [value for value in row.values() if not isinstance(value, str)]
        assert len(numbers) == 13
        assert all(math.isfinite(value) and value > 0 for value in numbers)
        assert row["state_mb"] < row["peak_mb"] < row["rss_mb"]
    plain, reversible = rows
    assert reversible["model_gflop"] == plain["model_gflop"]  # recomputation does not count
    assert reversible["peak_mb"] < plain["peak_mb"]
    table = [
        line for line in shown.splitlines() if line.startswith("| lapflow-16 | 6 | 1 | 32768 ")
    ]
    assert len(table) == 2
    assert "| aten::convolution_backward |" in shown

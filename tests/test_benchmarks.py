"""The benchmark of training runs on any CPU, and says plausible things."""

import json
import math
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.warm import WARM_PYTHON

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks" / "train.py"
STAGES = ["environment", "tests", "peers", "steps", "waveglow", "train", "evaluate"]
SMALLEST = "--model lapflow --channels 16 --layers 1 --flows 6 --batch 1 --samples 32768"


def test_training_is_measured(tmp_path):
    figures = tmp_path / "figures.json"
    options = f"{SMALLEST} --device cpu --threads 1 --reversible off,on --repeats 2 --profile"
    command = [WARM_PYTHON, SCRIPT, *options.split(), "--json", figures]
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


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """This repository, but for its interpreter: the warm one."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("benchmarks", "data", "pyproject.toml", "recipes", "tests", "waveflow"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "python").symlink_to(WARM_PYTHON)
    return folder


def gpu(repository, *options, code=0):
    """The lines that gpu.sh prints of its stages."""
    command = [repository / "benchmarks" / "gpu.sh", "--device", "cpu", *map(str, options)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # some are loaded already
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout.splitlines() + done.stderr.splitlines()


@pytest.mark.skipif(
    not (find_spec("vocos") and find_spec("transformers")), reason="needs the extra peers"
)
def test_the_gpu_benchmark_is_rehearsed(repository, tmp_path):
    out = tmp_path / "out"
    lines = [line for line in gpu(repository, "--quick", "--out", out) if line.startswith("==")]
    assert [line.split()[1] for line in lines] == STAGES
    found = json.loads((out / "results.json").read_text())
    assert not found["failed"]
    assert "passed" in found["tests"]
    assert {row["precision"] for row in found["steps"]["rows"]} == {"fp32", "bf16"}
    assert {row["reversible"] for row in found["waveglow"]["rows"]} == {"off", "on"}
    assert found["flagship"]["steps"] >= 1
    assert math.isfinite(found["flagship"]["nats_per_sample"])
    # the tables of the documentation are those that it fills
    document = (ROOT / "docs" / "performance.md").read_text()
    tables = (out / "results.md").read_text()
    columns = {
        cell
        for line in tables.splitlines()
        if line.startswith(("| vocoder |", "| model |", "| steps |"))
        for cell in line.strip("|").split("|")
    }
    assert all(f"|{column}|" in document for column in columns)
    # a stage that is missing is done again, and no other
    (out / "evaluate.done").unlink()
    (out / "environment.done").unlink()
    (out / "environment.failed").write_text("environment failed\n")
    again = [line for line in gpu(repository, "--quick", "--out", out) if line.startswith("==")]
    done = [line.split()[1].strip(":") for line in again if line.endswith("done before")]
    assert done == STAGES[1:-1]
    assert not json.loads((out / "results.json").read_text())["failed"]
    # figures of another kind do not mix with these
    assert "expected another --out" in gpu(repository, "--out", out, code=1)[-1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--device", "tpu"], "cuda or cpu; got tpu"),
        (["--data", "missing"], "expected a folder; missing"),
        (["--sing"], "unknown option --sing"),
        (["--out"], "--out: expected a value"),
    ],
)
def test_the_gpu_benchmark_refuses_in_one_line(repository, options, told):
    (line,) = gpu(repository, *options, code=2)
    assert line.startswith("gpu.sh: error: ")
    assert told in line

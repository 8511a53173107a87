"""No file that anybody wrote, on purpose or not, gets more than a documented error.

A few examples of each reader, always the same; ``make fuzz`` tries thousands of new ones.
"""

import json
import os
import subprocess

import pytest

from tests.conftest import ROOT
from tests.warm import WARM_PYTHON

TARGETS = [
    "audio_mutated",
    "audio_headers",
    "mel_npy",
    "mel_mutated",
    "mel_npz",
    "vocoder_config",
    "sizes",
    "recipe",
    "weights",
    "shard_index",
    "lists",
    "metadata",
    "checkpoint",
    "run_file",
]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What became of each target, in a process of little memory that may not run code."""
    child = [WARM_PYTHON, "-m", "tests.fuzz.child", os.environ.get("FUZZ_PROFILE", "short")]
    storage = {"HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path_factory.mktemp("hypothesis"))}
    done = subprocess.run(
        child,
        cwd=ROOT,
        env={**os.environ, **storage},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    begun = [line["begins"] for line in lines if "begins" in line]
    ended = {line["target"]: line["wrong"] for line in lines if "target" in line}
    broken = f"the process ended with {done.returncode}: {done.stderr[-2000:]}"
    return {name: ended.get(name, broken) for name in begun} | {None: (begun, broken)}


@pytest.mark.parametrize("name", TARGETS)
def test_reader_is_not_to_be_broken(found, name):
    assert name in found, found[None][1]
    assert found[name] is None, found[name]


def test_all_targets_are_here(found):
    assert found[None][0] == TARGETS, found[None][1]

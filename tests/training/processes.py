"""Runs of ``waveflow train`` in processes of their own: started, watched, killed."""

import os
import subprocess
from pathlib import Path

import yaml

from tests.warm import WARM_PYTHON

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "data" / "smoke"


def command(config, out, *options, data=CLIPS):
    """What follows ``waveflow``; the recipe is written beside the run."""
    recipe = out.with_name(f"{out.name}.yaml")
    recipe.write_text(yaml.safe_dump(config.to_dict()))
    words = ["train", recipe, "--data", data, "--out", out, "--device", "cpu", *options]
    return [str(word) for word in words]


def start(config, out, *options, data=CLIPS, launcher=(WARM_PYTHON,), **environment):
    """``waveflow train`` as a process of its own, one thread each."""
    words = command(config, out, *options, data=data)
    return subprocess.Popen(
        [*launcher, "-m", "waveflow", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

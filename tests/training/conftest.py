"""A small recipe, real clips to train on, and runs in processes of their own."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.training.clips import MemoryClips
from waveflow.training.config import TrainingConfig
from waveflow.training.corpus import load_clips

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "data" / "smoke"


@pytest.fixture
def config():
    """The smoke recipe, every twentieth clip held out."""
    recipe = TrainingConfig.from_yaml(ROOT / "recipes" / "ljspeech" / "smoke.yaml")
    return replace(
        recipe,
        data=replace(recipe.data, validation_list=None, exclude_list=None),
        run=replace(recipe.run, validate_every=4, checkpoint_every=4),
    )


@pytest.fixture(scope="session")
def clips():
    """All clips in memory."""
    loaded = load_clips(sorted(CLIPS.glob("*.flac")), LogMel(MelConfig()), min_frames=16)
    return MemoryClips(list(loaded), hop_length=256)


def start(config, out, *options, data=CLIPS, launcher=(), **environment):
    """``waveflow train`` as a process of its own, one thread each."""
    recipe = out.with_name(f"{out.name}.yaml")
    recipe.write_text(yaml.safe_dump(config.to_dict()))
    command = [*(launcher or [sys.executable]), "-m", "waveflow", "train", recipe]
    return subprocess.Popen(
        [*map(str, command), "--data", data, "--out", out, "--device", "cpu", *options],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

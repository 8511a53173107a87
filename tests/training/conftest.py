"""A small recipe, and real clips to train on."""

from dataclasses import replace

import pytest

from tests.training.processes import CLIPS, ROOT
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.training.clips import MemoryClips
from waveflow.training.config import TrainingConfig
from waveflow.training.corpus import load_clips


@pytest.fixture
def config():
    """The smoke recipe, every twentieth clip held out; it validates last and logs figures."""
    recipe = TrainingConfig.from_yaml(ROOT / "recipes" / "ljspeech" / "smoke.yaml")
    return replace(
        recipe,
        data=replace(recipe.data, validation_list=None, exclude_list=None),
        run=replace(
            recipe.run, validate_every=100, checkpoint_every=4, audio_clips=0, loggers=("csv",)
        ),
    )


@pytest.fixture(scope="session")
def clips():
    """All clips in memory."""
    loaded = load_clips(sorted(CLIPS.glob("*.flac")), LogMel(MelConfig()), min_frames=16)
    return MemoryClips(list(loaded), hop_length=256)

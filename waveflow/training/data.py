"""Crops for training and whole clips for validation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path

import lightning.pytorch as lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from waveflow.audio.mel import LogMel
from waveflow.audio.quantise import dequantise, fixed_noise
from waveflow.training.config import TrainingConfig
from waveflow.training.corpus import Clip, find_clips, load_clips, split_clips

REDRAWS = 8
QUIET = 8
"""A crop whose samples all stay below this many quanta is drawn again."""


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """Random crops without end; crop ``index`` is a function of (seed, index) alone.

    An epoch deals every clip out in proportion to its length, in an order shuffled anew; the
    place within the clip is uniform. As nothing else is remembered, a run resumes at any step.

    Args:
        clips: each at least ``segment_frames`` long.
        segment_frames: mel frames of a crop.
        hop_length: samples a frame.
        seed: of order, places and dequantisation.
    """

    def __init__(self, clips: list[Clip], *, segment_frames: int, hop_length: int, seed: int):
        self.clips = clips
        self.segment_frames = segment_frames
        self.hop_length = hop_length
        self.seed = seed
        counts = [clip.mel.shape[-1] // segment_frames for clip in clips]
        self._owners = np.repeat(np.arange(len(clips)), counts)
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """``audio`` (time,) and ``mel`` (n_mels, segment_frames)."""
        epoch, place = divmod(index, len(self._owners))
        clip = self.clips[self._owners[self._order(epoch)[place]]]
        key = np.array([self.seed, index], dtype=np.uint64)
        random = np.random.Generator(np.random.Philox(key=key))
        for _ in range(REDRAWS):
            start = int(random.integers(clip.mel.shape[-1] - self.segment_frames + 1))
            stop = start + self.segment_frames
            audio = clip.audio[start * self.hop_length : stop * self.hop_length]
            if audio.abs().max() >= QUIET:
                break
        noise = torch.from_numpy(random.random(audio.shape[0]))
        return dequantise(audio, noise), clip.mel[:, start:stop]

    def _shuffled(self, epoch: int) -> np.ndarray:
        key = np.array([self.seed, 2**63 + epoch], dtype=np.uint64)  # apart from those of the crops
        return np.random.Generator(np.random.Philox(key=key)).permutation(len(self._owners))


class From(Sampler[int]):
    """All the integers from ``start``."""

    def __init__(self, start: int):
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start)


class WholeClips(Dataset[tuple[Tensor, Tensor]]):
    """Whole clips, always with the same dequantisation noise."""

    def __init__(self, clips: list[Clip]):
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """``audio`` (time,) and ``mel`` (n_mels, frames)."""
        clip = self.clips[index]
        return dequantise(clip.audio, fixed_noise(len(clip.audio))), clip.mel


class Corpus(lightning.LightningDataModule):
    """A folder of recordings, in memory: crops to train on, whole clips to validate on.

    Args:
        folder: see :func:`waveflow.training.corpus.find_clips`.
        config: the recipe.
    """

    def __init__(self, folder: str | Path, config: TrainingConfig):
        super().__init__()
        self.config = config
        split = split_clips(find_clips(folder), config.data)
        log_mel = LogMel(config.mel)
        self.training = load_clips(split.training, log_mel, min_frames=config.data.segment_frames)
        self.validation = load_clips(split.validation, log_mel)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        data = self.config.data
        crops = Crops(
            self.training,
            segment_frames=data.segment_frames,
            hop_length=self.config.mel.hop_length,
            seed=self.config.run.seed,
        )
        done = self.trainer.global_step * data.batch_size if self.trainer else 0
        return DataLoader(
            crops,
            batch_size=data.batch_size,
            sampler=From(done),
            num_workers=data.workers,
            persistent_workers=data.workers > 0,
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        return DataLoader(WholeClips(self.validation), batch_size=1)

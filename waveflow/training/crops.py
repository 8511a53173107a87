"""Crops of clips to train on; a crop depends on seed and number alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from waveflow.audio.quantise import dequantise
from waveflow.noise import uniform_noise
from waveflow.training.clips import Clip, Clips

REDRAWS = 8
QUIET = 8
"""Crops whose samples are all below this number of quanta are drawn again."""


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """An endless sequence of random crops; crop ``index`` depends on (seed, index) alone.

    An epoch draws from every clip in proportion to its length; the position within the clip is
    uniform. Each epoch shuffles the groups of clips and processes them in windows of a few groups.
    Within a window the clips are shuffled, so a sharded corpus is read a few shards at a time.
    There is no other state, so a run resumes at any step, on any number of devices.

    Args:
        clips: clips of at least ``segment_frames`` frames each.
        segment_frames: mel frames of a crop.
        seed: seed of order, positions and dequantisation.
        open_groups: number of groups in a window.
    """

    def __init__(self, clips: Clips, *, segment_frames: int, seed: int, open_groups: int = 1):
        self.clips = clips
        self.segment_frames = segment_frames
        self.seed = seed
        self.open_groups = open_groups
        self._counts = np.asarray(clips.frames) // segment_frames
        self._sizes = np.array([self._counts[list(group)].sum() for group in clips.groups])
        self._window = 0, np.array([], dtype=np.int64)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """``audio`` (time,) float32 and ``mel`` (n_mels, segment_frames)."""
        _, _, crop = self.draw(index)
        noise = uniform_noise(self.seed, torch.tensor([index], device="cpu"), len(crop.audio))[0]
        return dequantise(crop.audio, noise), crop.mel

    def draw(self, index: int) -> tuple[int, int, Clip]:
        """Crop ``index``: its clip, its first frame, and its content before dequantisation."""
        clip = self._owner(index)
        random = self._random(index)
        for _ in range(REDRAWS):
            start = int(random.integers(self.clips.frames[clip] - self.segment_frames + 1))
            crop = self.clips.read(clip, start, start + self.segment_frames)
            if crop.audio.abs().max() >= QUIET:
                break
        return clip, start, crop

    def _owner(self, index: int) -> int:
        """The clip that crop ``index`` is cut from; the window of the last crop is kept."""
        first, owners = self._window
        if not first <= index < first + len(owners):
            first, owners = self._window = self._shuffled_window(index)
        return int(owners[index - first])

    def _shuffled_window(self, index: int) -> tuple[int, np.ndarray]:
        """The first crop of the window of crop ``index``, and the clips of its crops in order."""
        epoch, position = divmod(index, int(self._sizes.sum()))
        order = self._random(2**63 + epoch).permutation(len(self._sizes))
        ends = self._sizes[order].cumsum()
        window = int(np.searchsorted(ends, position, side="right")) // self.open_groups
        before = window * self.open_groups
        groups = order[before:][: self.open_groups]
        members = np.concatenate([np.asarray(self.clips.groups[group]) for group in groups])
        owners = np.repeat(members, self._counts[members])
        random = self._random(2**62 + (epoch << 32) + window)
        first = index - position + int(self._sizes[order[:before]].sum())
        return first, random.permutation(owners)

    def _random(self, stream: int) -> np.random.Generator:
        """The generator of a stream; crops have streams from 0 on, orders from 2 ** 62 on."""
        key = np.array([self.seed, stream], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=key))


class Batches(Sampler[list[int]]):
    """The crops of one device from step ``start`` on, one list for each part of a step.

    Step s has the crops from ``s * batch_size`` to before ``(s + 1) * batch_size``, for any number
    of devices and parts.

    Args:
        batch_size: crops per step, over all devices.
        start: first step.
        rank: number of this device.
        devices: number of devices.
        parts: number of parts that a device cuts its share into.

    Raises:
        ValueError: ``batch_size`` does not divide among devices and parts.
    """

    def __init__(
        self, batch_size: int, *, start: int = 0, rank: int = 0, devices: int = 1, parts: int = 1
    ):
        if batch_size % (devices * parts):
            raise ValueError(
                f"expected data.batch_size to be a multiple of {devices} devices times "
                f"{parts} parts (compute.accumulate); got {batch_size}"
            )
        self.batch_size = batch_size
        self.start = start
        self.rank = rank
        self.devices = devices
        self.parts = parts

    def __iter__(self) -> Iterator[list[int]]:
        size = self.batch_size // (self.devices * self.parts)
        for step in count(self.start):
            for part in range(self.parts):
                first = step * self.batch_size + (part * self.devices + self.rank) * size
                yield list(range(first, first + size))


class CropPositions(Dataset[Tensor]):
    """Positions of crops in a :class:`DeviceCorpus`: (2,) int64, number and first frame of a crop.

    Args:
        crops: crops of clips in memory.
    """

    def __init__(self, crops: Crops):
        self.crops = crops
        self._firsts = np.concatenate([[0], np.cumsum(crops.clips.frames)])

    def __getitem__(self, index: int) -> Tensor:
        clip, start, _ = self.crops.draw(index)
        return torch.tensor([index, self._firsts[clip] + start], device="cpu")


class DeviceCorpus:
    """All clips joined on one device, which cuts the crops without the host.

    Args:
        crops: the crops to cut, of clips in memory.
        device: device that holds the clips.
    """

    def __init__(self, crops: Crops, *, device: torch.device):
        whole = enumerate(crops.clips.frames)
        clips = [crops.clips.read(clip, 0, frames) for clip, frames in whole]
        self.seed = crops.seed
        self.segment_frames = crops.segment_frames
        self.audio = torch.cat([clip.audio for clip in clips]).to(device)
        self.mel = torch.cat([clip.mel for clip in clips], dim=1).to(device)
        self.hop_length = self.audio.shape[0] // self.mel.shape[1]

    def cut(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cut crops at :class:`CropPositions`; they are those of :class:`Crops`, bit for bit.

        Args:
            positions: numbers and first frames of the crops, (batch, 2) int64.

        Returns:
            ``audio`` (batch, time) and ``mel`` (batch, n_mels, frames).
        """
        numbers, firsts = positions.unbind(1)
        frames = firsts[:, None] + torch.arange(self.segment_frames, device=positions.device)
        samples = self.segment_frames * self.hop_length
        times = self.hop_length * firsts[:, None] + torch.arange(samples, device=positions.device)
        noise = uniform_noise(self.seed, numbers, samples)
        return dequantise(self.audio[times], noise), self.mel[:, frames].transpose(0, 1)

"""Clips to train on: audio with its aligned mel, read by number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Clip:
    """A recording: ``audio`` (time,) int16 and ``mel`` (n_mels, time / hop_length).

    The mel is computed from the whole clip, so a crop contains no reflected edges.
    """

    name: str
    audio: Tensor
    mel: Tensor


class Clips(Protocol):
    """Clips by number.

    Attributes:
        names: id of each clip.
        frames: number of mel frames of each clip.
        groups: groups of clip numbers that are cheap to read together; every clip is in one.
    """

    names: Sequence[str]
    frames: Sequence[int]
    groups: Sequence[Sequence[int]]

    def read(self, clip: int, start: int, stop: int) -> Clip:
        """The mel frames from ``start`` to before ``stop`` of a clip, and their audio."""


class MemoryClips:
    """Clips in memory; all are one group.

    Args:
        clips: the clips.
        hop_length: samples per frame.
    """

    def __init__(self, clips: Sequence[Clip], *, hop_length: int):
        self.clips = clips
        self.hop_length = hop_length
        self.names: Sequence[str] = [clip.name for clip in clips]
        self.frames: Sequence[int] = [clip.mel.shape[-1] for clip in clips]
        self.groups: Sequence[Sequence[int]] = [range(len(clips))]

    def read(self, clip: int, start: int, stop: int) -> Clip:
        whole = self.clips[clip]
        audio = whole.audio[start * self.hop_length : stop * self.hop_length]
        return Clip(whole.name, audio, whole.mel[:, start:stop])

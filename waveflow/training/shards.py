"""A sharded corpus, read crop by crop."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np
import soundfile
import torch
from torch import Tensor

from waveflow.audio.mel import LogMel
from waveflow.audio.quantise import QUANTUM
from waveflow.training.clips import Clip
from waveflow.training.shard_cache import ShardCache, ShardFolder
from waveflow.training.shard_index import ShardIndex, is_sharded
from waveflow.training.shard_writer import check_name, write_shards

__all__ = ["ShardIndex", "ShardedClips", "check_name", "is_sharded", "write_shards"]


class ShardedClips:
    """Clips in shards; each shard is a group, and only the requested part of a clip is decoded.

    Clips that are too short are left out, with one warning. The others are numbered shard by shard.
    Mels are the stored ones, or else computed from the piece and its surroundings, so they equal
    those of the whole clip. See :class:`waveflow.training.clips.Clips`.

    Args:
        index: index of the shards.
        log_mel: front end of the model.
        names: ids of the clips to use.
        min_frames: least number of frames; shorter clips, and clips not longer than an FFT, are
            left out.
        cache_bytes: largest size of the fetched shards of a remote corpus on the local disk.
        whole_shards: fetch a remote shard whole when one of its clips is read; otherwise fetch only
            the clip, which is better for a few clips of every shard.

    Raises:
        ValueError: the shards have another sample rate, hop length, or mel convention; a name is
            not in the index; no clip is left; the cache is smaller than a shard.
    """

    def __init__(
        self,
        index: ShardIndex,
        log_mel: LogMel,
        names: Iterable[str],
        *,
        min_frames: int = 1,
        cache_bytes: int = 20_000_000_000,
        whole_shards: bool = True,
    ):
        config = log_mel.config
        mine, theirs = (
            f"sample_rate {one.sample_rate}, hop_length {one.hop_length}" for one in (config, index)
        )
        if mine != theirs:
            raise ValueError(f"{index.source}: expected shards of {mine}; got {theirs}")
        if index.mel is not None:
            try:
                config.require_same(index.mel)
            except ValueError as error:
                raise ValueError(f"{index.source}: stored mels: the {error}") from None
        self.index = index
        self.log_mel = log_mel
        self._rows = _choose_rows(
            index, names, max(min_frames * config.hop_length, config.n_fft + 1)
        )
        self.names: Sequence[str] = [index.names[row] for row in self._rows]
        samples = index.rows["samples"][self._rows]
        self.frames: Sequence[int] = (samples // config.hop_length).tolist()
        _, firsts = np.unique(index.rows["shard"][self._rows], return_index=True)
        bounds = pairwise([*firsts.tolist(), len(self._rows)])
        self.groups: Sequence[Sequence[int]] = [range(first, end) for first, end in bounds]
        self._files: ShardFolder | ShardCache
        if "://" in index.source:
            self._files = ShardCache(
                index.source, index.shards, limit=cache_bytes, whole=whole_shards
            )
        else:
            self._files = ShardFolder(index.source, index.shards)

    def read(self, clip: int, start: int, stop: int) -> Clip:
        hop = self.log_mel.config.hop_length
        if self.index.mel is not None:
            audio, mel = self._decode(clip, start, stop), self._stored_mel(clip)[:, start:stop]
            return Clip(self.names[clip], audio, mel)
        margin = -(-self.log_mel.config.n_fft // (2 * hop))  # hops that a frame sees on each side
        first = max(start - margin, 0)
        piece = self._decode(clip, first, min(stop + margin, self.frames[clip]))
        mel = self.log_mel(piece[None] * QUANTUM)[0]
        inner = slice(start - first, stop - first)
        audio = piece[inner.start * hop : inner.stop * hop]
        return Clip(self.names[clip], audio, mel[:, inner])

    def _decode(self, clip: int, first: int, end: int) -> Tensor:
        """The audio of a clip from frame ``first`` to before ``end``."""
        hop = self.log_mel.config.hop_length
        content = self._member(clip, "flac")
        try:
            with soundfile.SoundFile(BytesIO(content)) as file:
                file.seek(first * hop)
                audio = file.read((end - first) * hop, dtype="int16")
            if audio.shape != ((end - first) * hop,):
                raise ValueError(f"audio of shape {audio.shape}")
        except (soundfile.SoundFileError, AssertionError, MemoryError, ValueError) as error:
            raise self._damaged(clip, "FLAC", error) from error
        return torch.from_numpy(audio)

    def _stored_mel(self, clip: int) -> Tensor:
        expected = (self.log_mel.config.n_mels, self.frames[clip])
        try:
            mel = np.load(BytesIO(self._member(clip, "mel")), allow_pickle=False)
            if mel.shape != expected or mel.dtype != np.float32:
                raise ValueError(f"{mel.dtype} of shape {mel.shape}")
        except (EOFError, ValueError) as error:
            raise self._damaged(clip, f"mel of shape {expected}", error) from error
        return torch.from_numpy(mel)

    def _member(self, clip: int, kind: str) -> bytes:
        row = self._rows[clip]
        shard, offset, size = (
            int(self.index.rows[field][row])
            for field in ("shard", f"{kind}_offset", f"{kind}_size")
        )
        return self._files.read(shard, offset, size)

    def _damaged(self, clip: int, expected: str, error: Exception) -> ValueError:
        shard = self.index.shards[self.index.rows["shard"][self._rows[clip]]].name
        return ValueError(
            f"{self.index.source}/{shard}: expected the {expected} of {self.names[clip]}; "
            f"got: {error}"
        )


def _choose_rows(
    index: ShardIndex, names: Iterable[str], least: int
) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The rows of the named clips with at least ``least`` samples, shard by shard."""
    places = {name: row for row, name in enumerate(index.names)}
    chosen = list(names)
    unknown = [name for name in chosen if name not in places]
    if unknown:
        raise ValueError(
            f"{index.source}: expected ids of clips in the shards; "
            f"{len(unknown)} of {len(chosen)} are unknown, such as {unknown[0]}"
        )
    rows = np.array([places[name] for name in chosen], dtype=np.int64)
    long_enough = index.rows["samples"][rows] >= least
    if not long_enough.any():
        raise ValueError(f"{index.source}: expected clips of at least {least} samples; got none")
    if not long_enough.all():
        first = chosen[int(np.argmin(long_enough))]
        warnings.warn(
            f"left out {(~long_enough).sum()} clips shorter than {least} samples: {first} ...",
            stacklevel=3,
        )
    rows = rows[long_enough]
    return rows[np.argsort(index.rows["shard"][rows], kind="stable")]

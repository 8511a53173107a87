"""The index of a sharded corpus: its clips, and the position of each in the files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from waveflow.audio.clip_list import clip_id
from waveflow.audio.mel import MelConfig
from waveflow.io.atomic import write_atomically
from waveflow.io.npz import require_bounded
from waveflow.io.paths import as_path
from waveflow.io.yaml import shortened
from waveflow.training.shard_cache import ShardFile, fetch

INDEX = "index.npz"
FORMAT = 1
_NAME = re.compile(r"\d{6,}\.tar")
_SHA256 = re.compile("[0-9a-f]{64}")
ROWS = {
    "samples": np.int64,
    "shard": np.int32,
    "flac_offset": np.int64,
    "flac_size": np.int64,
    "mel_offset": np.int64,
    "mel_size": np.int64,
}
"""The columns of an index and their types."""


def is_sharded(source: str | Path) -> bool:
    """Whether ``source`` is a folder of shards or a URL (``scheme://…``), always of shards."""
    return "://" in str(source) or (as_path(source) / INDEX).is_file()


@dataclass(frozen=True)
class ShardIndex:
    """The positions of all clips of a sharded corpus.

    Attributes:
        source: folder or URL of the shards.
        names: id of each clip.
        rows: columns with one value per clip: ``samples``, the number of its ``shard``, and
            ``flac_offset``, ``flac_size``, ``mel_offset``, ``mel_size`` in bytes; ``mel_size`` is
            0 if no mel is stored.
        shards: files of the shards.
        sample_rate: sample rate of the audio, Hz.
        hop_length: samples per frame; every clip is whole hops.
        mel: convention of the stored mels; None if none are stored.
    """

    source: str
    names: list[str]
    rows: Mapping[str, np.ndarray[Any, Any]]
    shards: tuple[ShardFile, ...]
    sample_rate: int
    hop_length: int
    mel: MelConfig | None

    @classmethod
    def read(cls, source: str | Path) -> ShardIndex:
        """Read the index in a folder or at a URL.

        Raises:
            FileNotFoundError: there is no index.
            OSError: the index cannot be fetched.
            ValueError: the index is damaged, or of a later format.
        """
        source = str(source)
        if "://" in source:
            path = f"{source.rstrip('/')}/{INDEX}"
            content = fetch(path, lambda fs, path: fs.cat_file(path))
        else:
            path = str(as_path(source) / INDEX)
            if not Path(path).is_file():
                raise FileNotFoundError(f"{path}: expected an index of shards; it does not exist")
            content = Path(path).read_bytes()
        try:
            require_bounded(BytesIO(content))
            with np.load(BytesIO(content), allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                if about["format"] <= FORMAT:
                    return cls._from_arrays(source, about, arrays)
        except Exception as error:  # parsers raise any type of error on damaged files
            reason = shortened(error)
            raise ValueError(f"{path}: expected an index of shards; got: {reason}") from error
        raise ValueError(
            f"{path}: expected shards of format {FORMAT}; got format {about['format']} of a later "
            "waveflow"
        )

    @classmethod
    def _from_arrays(
        cls, source: str, about: dict[str, Any], arrays: Mapping[str, np.ndarray[Any, Any]]
    ) -> ShardIndex:
        names = arrays["names"].tolist()
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("names that are not a list of strings")
        names = [clip_id(name) for name in names]
        rows = {row: arrays[row].astype(kind) for row, kind in ROWS.items()}
        shards = tuple(
            ShardFile(str(name), int(size), str(sha256))
            for name, size, sha256 in zip(
                arrays["shard_names"], arrays["shard_sizes"], arrays["shard_sha256"], strict=True
            )
        )
        if not names or any(row.shape != (len(names),) for row in rows.values()):
            raise ValueError("columns of different lengths, or without rows")
        if not (0 <= rows["shard"].min() <= rows["shard"].max() < len(shards)):
            raise ValueError("a clip in a shard that is not listed")
        if not all(_NAME.fullmatch(one.name) and _SHA256.fullmatch(one.sha256) for one in shards):
            raise ValueError("a shard whose name or checksum is not of this format")
        sizes = np.array([one.size for one in shards])[rows["shard"]]
        for kind in ("flac", "mel"):
            offset, size = rows[f"{kind}_offset"], rows[f"{kind}_size"]
            if (offset < 0).any() or (size < 0).any() or (offset > sizes - size).any():
                raise ValueError("a clip beyond the end of its shard")
        if not all(type(about[name]) is int for name in ("sample_rate", "hop_length")):
            raise ValueError("a sample rate or hop length that is not a whole number")
        mel = about["mel"]
        if mel is not None:
            mel = MelConfig.from_plain(mel)
        return cls(source, names, rows, shards, about["sample_rate"], about["hop_length"], mel)

    def write(self) -> None:
        """Write the index beside its shards, completely or not at all."""
        about = {
            "format": FORMAT,
            "sample_rate": self.sample_rate,
            "hop_length": self.hop_length,
            "mel": asdict(self.mel) if self.mel else None,
        }
        rows: dict[str, Any] = {row: self.rows[row].astype(kind) for row, kind in ROWS.items()}
        content = BytesIO()
        np.savez_compressed(
            content,
            about=np.array(json.dumps(about)),
            names=np.array(self.names),
            shard_names=np.array([shard.name for shard in self.shards]),
            shard_sizes=np.array([shard.size for shard in self.shards]),
            shard_sha256=np.array([shard.sha256 for shard in self.shards]),
            **rows,
        )
        write_atomically(Path(self.source) / INDEX, content.getbuffer())

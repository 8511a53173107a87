"""Write a corpus as shards: WebDataset tar files and their index."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from waveflow.audio.mel import MelConfig
from waveflow.io.atomic import atomic_path
from waveflow.io.paths import as_path
from waveflow.training.clips import Clip
from waveflow.training.shard_cache import ShardFile, sha256
from waveflow.training.shard_index import INDEX, ROWS, ShardIndex

_BLOCK = tarfile.BLOCKSIZE
_LONGEST = 90
_Member = tuple[str, bytes]


def check_name(name: str) -> None:
    """Check that a clip id can name the members of a shard.

    Raises:
        ValueError: the id is empty, too long, or has dots or slashes.
    """
    if not name or {".", "/"} & set(name) or len(name.encode()) > _LONGEST:
        raise ValueError(
            "in a shard, a clip's id is the part before the first dot: expected an id without "
            f"dots and slashes, of at most {_LONGEST} bytes; got {name!r}"
        )


def write_shards(
    clips: Iterable[Clip],
    out: str | Path,
    config: MelConfig,
    *,
    megabytes: float = 256,
    store_mels: bool = False,
) -> ShardIndex:
    """Write a corpus as WebDataset tar files, ``000000.tar`` and so on, and their index.

    A clip is ``<id>.flac``, 16-bit mono cut to whole hops, and optionally ``<id>.mel.npy``, float32
    (n_mels, frames). One clip at a time is in memory. The same clips in the same order give the
    same files, byte for byte. The index is written last: a folder without an index is unfinished,
    and the same call writes it again.

    Args:
        clips: clips in the order to store; shuffle them, because a run shuffles crops only among a
            few shards at a time.
        out: folder for the shards; created if missing.
        config: convention of the mels, which has the sample rate of the audio.
        megabytes: largest size of a shard, unless a single clip is larger.
        store_mels: store the mels; needed for mels that a model predicted, because other mels are
            computed from the audio when they are needed.

    Raises:
        ValueError: no clips, two clips of the same name, a name that :func:`check_name` refuses,
            or a mel to store that does not fit its audio.
    """
    out = as_path(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / INDEX).unlink(missing_ok=True)
    shards: list[ShardFile] = []
    rows: dict[str, list[int]] = {}
    encoded = ((clip, _encode(clip, config, store_mels)) for clip in clips)
    clip, members = next(encoded, (None, []))
    while clip is not None:
        path = out / f"{len(shards):06d}.tar"
        with (
            atomic_path(path) as temporary,
            tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as tar,
        ):
            first = tar.offset
            while clip is not None and (
                tar.offset == first or tar.offset + _size(members) <= megabytes * 1e6
            ):
                if clip.name in rows:
                    raise ValueError(f"expected one clip per name; got two called {clip.name}")
                samples = len(clip.audio) // config.hop_length * config.hop_length
                rows[clip.name] = [samples, len(shards), *_add(tar, members)]
                clip, members = next(encoded, (None, []))
        shards.append(ShardFile(path.name, path.stat().st_size, sha256(path)))
    if not rows:
        raise ValueError("expected clips to write to shards; got none")
    beyond = len(shards)
    while (left := out / f"{beyond:06d}.tar").exists():  # shards of an earlier, longer corpus
        left.unlink()
        beyond += 1
    names = sorted(rows)
    columns = np.array([rows[name] for name in names]).T
    index = ShardIndex(
        str(out),
        names,
        dict(zip(ROWS, columns, strict=True)),
        tuple(shards),
        config.sample_rate,
        config.hop_length,
        config if store_mels else None,
    )
    index.write()
    return index


def _encode(clip: Clip, config: MelConfig, store_mel: bool) -> list[_Member]:
    """The members of a shard for a clip."""
    check_name(clip.name)
    hop = config.hop_length
    audio = clip.audio[: len(clip.audio) // hop * hop]
    flac = BytesIO()
    soundfile.write(flac, audio.numpy(), config.sample_rate, format="FLAC", subtype="PCM_16")
    members = [(f"{clip.name}.flac", flac.getvalue())]
    if store_mel:
        expected = (config.n_mels, len(audio) // hop)
        if clip.mel.shape != expected:
            raise ValueError(
                f"{clip.name}: expected a mel of shape {expected}; got {tuple(clip.mel.shape)}"
            )
        mel = BytesIO()
        np.save(mel, np.ascontiguousarray(clip.mel.numpy(), dtype="<f4"))
        members.append((f"{clip.name}.mel.npy", mel.getvalue()))
    return members


def _size(members: list[_Member]) -> int:
    """Bytes that members add to a shard, including its end."""
    blocks = sum(1 + -(-len(content) // _BLOCK) for _, content in members)
    return blocks * _BLOCK + tarfile.RECORDSIZE


def _add(tar: tarfile.TarFile, members: list[_Member]) -> list[int]:
    """Add a clip; the result is the offset and size of its audio, then of its mel."""
    places = []
    for name, content in members:
        header = tarfile.TarInfo(name)  # owner, time and rights are the same for all
        header.size = len(content)
        places += [tar.offset + _BLOCK, header.size]
        tar.addfile(header, BytesIO(content))
    return places if len(members) == 2 else [*places, 0, 0]

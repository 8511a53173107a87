"""Archives of NeMo: a tar of a configuration and weights, read into memory that is bounded."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import yaml

from waveflow.io.budget import NEMO_ARCHIVE
from waveflow.io.torch_files import read_tensors

_CONFIG, _WEIGHTS = "model_config.yaml", "model_weights.ckpt"
_LARGEST_CONFIG = 2**16


def is_archive(path: Path) -> bool:
    """Whether a file is a tar, compressed by gzip or not."""
    with path.open("rb") as file:
        start = file.read(512)
    return start[:2] == b"\x1f\x8b" or start[257:262] == b"ustar"


def read_archive(path: Path) -> tuple[Any, Any]:
    """The configuration and the weights in a ``.nemo`` file; nothing is written to the disk.

    Returns:
        What the YAML says, and what ``torch.save`` has written.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged, or has something else in it; says what, in one line.
    """
    limit = NEMO_ARCHIVE.of(path.stat().st_size)
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_plain(file, limit), mode="r|") as tar:
            members = _members(tar, {_CONFIG: _LARGEST_CONFIG, _WEIGHTS: limit})
    except _DAMAGED as error:
        raise ValueError(f"{path}: expected a .nemo archive; got {_reason(error)}") from None
    for name in (_CONFIG, _WEIGHTS):
        if name not in members:
            raise ValueError(f"{path}: expected a .nemo archive; it has no {name}")
    try:
        config = yaml.safe_load(members[_CONFIG])
    except Exception:  # its constructors raise whatever they like
        raise ValueError(f"{path}: expected YAML in {_CONFIG}; got something else") from None
    try:
        return config, read_tensors(BytesIO(members[_WEIGHTS]))
    except ValueError as error:
        raise ValueError(f"{path}: {_WEIGHTS}: {error}") from None


_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError)


class _Bounded:
    """A stream of which no more than a limit is read."""

    def __init__(self, file: Any, limit: int):
        self._file = file
        self._left = limit

    def read(self, count: int) -> bytes:
        """The next bytes, as :mod:`tarfile` asks for them."""
        taken: bytes = self._file.read(count)
        self._left -= len(taken)
        if self._left < 0:
            raise ValueError("one that is much larger than the file that it is packed in")
        return taken


def _plain(file: BinaryIO, limit: int) -> Any:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return _Bounded(gzip.GzipFile(fileobj=file) if packed else file, limit)


def _members(tar: tarfile.TarFile, wanted: dict[str, int]) -> dict[str, bytes]:
    """The wanted members of an archive of plain files, none larger than told."""
    found: dict[str, bytes] = {}
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("paths that lead out of it")
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
        if not plain and not member.isdir():
            raise ValueError("links or devices in it")
        if plain and str(path) in wanted:
            if str(path) in found or member.size > wanted[str(path)]:
                raise ValueError(f"{path} twice, or larger than expected")
            opened = tar.extractfile(member)
            found[str(path)] = opened.read() if opened else b""
    return found


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return " ".join(str(error).split())
    return f"a damaged file ({type(error).__name__})"

"""Read NeMo archives, a tar of a configuration and weights, in bounded memory."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import yaml

from waveflow.io.budget import NEMO_ARCHIVE
from waveflow.io.paths import errors_begin_with
from waveflow.io.torch_files import read_tensors

_CONFIG, _WEIGHTS = "model_config.yaml", "model_weights.ckpt"
_LARGEST_CONFIG = 2**16
_DAMAGED = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, OverflowError)


def is_archive(path: Path) -> bool:
    """Whether a file is a tar, with or without gzip."""
    with path.open("rb") as file:
        start = file.read(512)
    return start[:2] == b"\x1f\x8b" or start[257:262] == b"ustar"


def read_archive(path: Path) -> tuple[Any, Any]:
    """Read the configuration and the weights in a ``.nemo`` file; nothing is written to the disk.

    Returns:
        The content of the YAML file, and the content of the file of ``torch.save``.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is damaged, or is not a ``.nemo`` archive.
    """
    limit = NEMO_ARCHIVE.of(path.stat().st_size)
    try:
        with path.open("rb") as file, tarfile.open(fileobj=_plain(file, limit), mode="r|") as tar:
            members = _members(tar, {_CONFIG: _LARGEST_CONFIG, _WEIGHTS: limit})
    except _DAMAGED as error:
        raise ValueError(f"expected a .nemo archive; got {_reason(error)}") from None
    for name in (_CONFIG, _WEIGHTS):
        if name not in members:
            raise ValueError(f"expected a .nemo archive; got one without {name}")
    try:
        config = yaml.safe_load(members[_CONFIG])
    except Exception:  # its constructors raise any type of error
        raise ValueError(f"expected YAML in {_CONFIG}; got another format") from None
    with errors_begin_with(_WEIGHTS):
        return config, read_tensors(BytesIO(members[_WEIGHTS]))


class _Bounded:
    """A stream that raises ValueError when more than a limit is read."""

    def __init__(self, file: Any, limit: int):
        self._file = file
        self._left = limit

    def read(self, count: int) -> bytes:
        """The next bytes, as :mod:`tarfile` requests them."""
        taken: bytes = self._file.read(count)
        self._left -= len(taken)
        if self._left < 0:
            raise ValueError("one whose content is much larger than the file")
        return taken


def _plain(file: BinaryIO, limit: int) -> Any:
    packed = file.read(2) == b"\x1f\x8b"
    file.seek(0)
    return _Bounded(gzip.GzipFile(fileobj=file) if packed else file, limit)


def _members(tar: tarfile.TarFile, wanted: dict[str, int]) -> dict[str, bytes]:
    """The content of the wanted members of an archive, which give the largest size of each.

    Raises:
        ValueError: the archive has links, devices, outside paths, or too large members.
    """
    members: dict[str, bytes] = {}
    for member in tar:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError("an archive with paths that lead out of it")
        plain = member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()
        if not plain and not member.isdir():
            raise ValueError("an archive with links or devices")
        if plain and str(path) in wanted:
            if str(path) in members or member.size > wanted[str(path)]:
                raise ValueError(f"an archive with {path} twice, or larger than expected")
            opened = tar.extractfile(member)
            members[str(path)] = opened.read() if opened else b""
    return members


def _reason(error: Exception) -> str:
    if isinstance(error, ValueError):
        return " ".join(str(error).split())
    return f"a damaged file ({type(error).__name__})"

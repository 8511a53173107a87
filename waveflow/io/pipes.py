"""Pipes, read once and within bounds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from waveflow.io.paths import as_path

MOST_PIPED = 2**32
"""Bytes that are taken of a pipe, at most."""
_HELD = 2**24  # bytes of a pipe that are in memory; more are on the disk


@contextmanager
def seekable(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to read in any order; a pipe is read once, and its content kept meanwhile.

    Raises:
        OSError: as ``open``.
        ValueError: more than ``MOST_PIPED`` bytes come of a pipe.
    """
    with open(as_path(path), "rb") as file:
        if file.seekable():
            yield file
            return
        with tempfile.SpooledTemporaryFile(_HELD) as copy:
            copy_bounded(file, copy, path)
            copy.seek(0)
            yield copy  # type: ignore[misc]


def copy_bounded(source: BinaryIO, target: IO[bytes], name: object) -> None:
    """Copy all that comes of a pipe.

    Args:
        source: is read to its end.
        target: is written.
        name: of the source, for the error.

    Raises:
        ValueError: more than ``MOST_PIPED`` bytes come.
    """
    left = MOST_PIPED
    while piece := source.read(2**20):
        left -= len(piece)
        if left < 0:
            raise ValueError(f"{name}: expected {MOST_PIPED} bytes at most of a pipe; got more")
        target.write(piece)

"""Read pipes once and within bounds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, BinaryIO

from waveflow.io.paths import as_path

MOST_PIPED = 2**32
"""Largest number of bytes that are read from a pipe."""
_HELD = 2**24  # bytes of a pipe that are held in memory; more go to the disk


@contextmanager
def seekable(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file that can be read in any order; a pipe is copied first.

    Raises:
        OSError: as for ``open``.
        ValueError: a pipe has more than ``MOST_PIPED`` bytes.
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
    """Copy a pipe.

    Args:
        source: pipe, which is read to its end.
        target: file to write.
        name: name of the pipe, for the error.

    Raises:
        ValueError: the pipe has more than ``MOST_PIPED`` bytes.
    """
    left = MOST_PIPED
    while piece := source.read(2**20):
        left -= len(piece)
        if left < 0:
            raise ValueError(f"{name}: expected at most {MOST_PIPED} bytes from a pipe; got more")
        target.write(piece)

"""Read a file in sequence, never more than it has."""

from __future__ import annotations

from typing import BinaryIO

_LONGEST_LINE = 256
"""Longest line that is read whole; lines hold names, and no name is as long."""


class Source:
    """A binary file from its current position on.

    No memory is allocated for bytes that the file does not have.

    Args:
        file: seekable binary file.
    """

    def __init__(self, file: BinaryIO):
        start = file.tell()
        self._file = file
        self.left = file.seek(0, 2) - start
        file.seek(start)

    def read(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            ValueError: the file has fewer.
        """
        if not 0 <= count <= self.left:
            raise ValueError(f"a file that ends too early ({count} bytes needed, {self.left} left)")
        self.left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        """The bytes up to the end of the line or of the file, or the start of a long line."""
        line = self._file.readline(min(_LONGEST_LINE, self.left))
        self.left -= len(line)
        return line

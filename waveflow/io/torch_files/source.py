"""Bytes taken one after the other, never more than there are."""

from __future__ import annotations

from typing import BinaryIO

_LONGEST_LINE = 256


class Source:
    """A binary file from its present position on.

    Nothing is allocated for bytes that a file only claims to have.

    Args:
        file: seekable.
    """

    def __init__(self, file: BinaryIO):
        start = file.tell()
        self._file = file
        self.left = file.seek(0, 2) - start
        file.seek(start)

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            ValueError: there are fewer.
        """
        if not 0 <= count <= self.left:
            raise ValueError(f"a file that ends too early ({count} bytes wanted, {self.left} left)")
        taken = self._file.read(count)
        self.left -= count
        return taken

    def number(self, count: int, *, signed: bool = False) -> int:
        """A little-endian integer of ``count`` bytes."""
        return int.from_bytes(self.take(count), "little", signed=signed)

    def line(self) -> str:
        """A line of text, without its end."""
        line = self._file.readline(min(_LONGEST_LINE, self.left))
        self.left -= len(line)
        if not line.endswith(b"\n"):
            raise ValueError("a damaged pickle (a line without end)")
        return line[:-1].decode()

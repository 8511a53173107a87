"""Read a file in sequence, never more than it has."""

from __future__ import annotations

from typing import BinaryIO

_LONGEST_LINE = 256


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

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes.

        Raises:
            ValueError: the file has fewer.
        """
        if not 0 <= count <= self.left:
            raise ValueError(f"a file that ends too early ({count} bytes needed, {self.left} left)")
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
            raise ValueError("a damaged pickle (a line without an end)")
        return line[:-1].decode()

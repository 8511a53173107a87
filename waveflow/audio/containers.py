"""Check that a sound file is complete: compare the length in its header with its content."""

from __future__ import annotations

import io
import os
import re
import struct
from collections.abc import Mapping
from typing import BinaryIO, NamedTuple

_CHUNK_NAME = re.compile(rb"[ -~]{4}")
_TAGGED = (
    *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff"),
    *(b".snd", b"dns.", b"fLaC", b"OggS"),
)


class _Kind(NamedTuple):
    """Layout of a format of chunks; the size of a chunk includes ``counted`` bytes of its head."""

    head: str
    names: tuple[bytes, ...]
    first: int = 12
    multiple: int = 2
    counted: int = 0


_KINDS = {
    b"RIFF": _Kind("<4sI", (b"data",)),
    b"RIFX": _Kind(">4sI", (b"data",)),
    b"RF64": _Kind("<4sI", (b"data",)),
    b"BW64": _Kind("<4sI", (b"data",)),
    b"FORM": _Kind(">4sI", (b"SSND", b"BODY")),
    b"caff": _Kind(">4sQ", (b"data",), first=8, multiple=1),
    b"riff": _Kind(
        "<16sQ",
        (b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a"),),
        first=40,
        multiple=8,
        counted=24,
    ),
}


class Samples(NamedTuple):
    """Position and length of the samples, from the header of a sound file.

    Attributes:
        place: offset of the first byte of the samples.
        length: length of the samples in bytes, from the header.
        field: offset and format of the length in the header.
        counted: bytes by which the length in the header is larger than ``length``.
        block: bytes of one sample of all channels; 1 if unknown.
        whole: length of the file in bytes, from the header; None if the header has none.
    """

    place: int
    length: int
    field: tuple[int, str]
    counted: int = 0
    block: int = 1
    whole: int | None = None


class View(io.RawIOBase):
    """A file from an offset on, with some bytes replaced, for libsndfile to read.

    Args:
        file: seekable file.
        start: offset of the first byte of the view.
    """

    def __init__(self, file: BinaryIO, start: int = 0):
        self._file, self._start, self._position = file, start, 0
        file.seek(0, io.SEEK_END)
        self.size = max(file.tell() - start, 0)
        self.replaced: Mapping[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(origin + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._file.seek(self._start + self._position)
        content = bytearray(self._file.read(len(buffer)))
        for place, replacement in self.replaced.items():
            begin = place - self._position
            for index in range(max(-begin, 0), min(len(replacement), len(content) - begin)):
                content[begin + index] = replacement[index]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def source(self) -> int | View:
        """The object for libsndfile to read: the view if it differs from the file, else the file.

        libsndfile reads some formats only from a real file.
        """
        if self._start or self.replaced:
            self.seek(0)
            return self
        handle = self._file.fileno()
        os.lseek(handle, 0, os.SEEK_SET)
        return handle

    def at(self, place: int, size: int) -> bytes:
        """``size`` bytes from ``place`` on, fewer at the end of the file."""
        self.seek(place)
        return self.read(size) or b""


def open_whole(file: BinaryIO) -> View:
    """Open a sound file so that libsndfile reads all of it: after ID3v2 tags, at its true length.

    libsndfile silently shortens a truncated file, and drops as many bytes at the end as a tag has
    at the start. A header that was written to a pipe has an impossible length; the view replaces
    it with the true one.

    Args:
        file: seekable file.

    Raises:
        ValueError: the file ends before its samples do.
    """
    view = View(file, _tags(View(file)))
    samples = _samples(view)
    if samples is None:
        return view
    available = max(view.size - samples.place, 0)
    if _is_open(samples, view):
        place, form = samples.field
        length = min(available + samples.counted, 2 ** (8 * struct.calcsize(form)) - 1)
        view.replaced = {place: struct.pack(form, length)}
    elif samples.length > available:
        raise ValueError(
            f"expected {samples.length} bytes of samples according to its header; "
            f"got {available}: the file was cut short"
        )
    return view


def _tags(view: View) -> int:
    """Bytes of the ID3v2 tags before a container; 0 if libsndfile handles the tags itself."""
    place = 0
    while len(head := view.at(place, 10)) == 10 and head[:3] == b"ID3":
        size = 0
        for byte in head[6:]:
            size = size << 7 | byte & 0x7F
        place += 10 + size + 10 * bool(head[5] & 0x10)
    return place if view.at(place, 4) in _TAGGED else 0


def _samples(view: View) -> Samples | None:
    """The position of the samples; None for formats that need no check, and truncated headers."""
    magic = view.at(0, 4)
    if magic in (b".snd", b"dns."):
        order = ">" if magic == b".snd" else "<"
        head = view.at(4, 8)
        if len(head) < 8:
            return None
        place, length = struct.unpack(f"{order}2I", head)
        return Samples(place, length, (8, f"{order}I"))
    kind = _KINDS.get(magic)
    return None if kind is None else _chunk_of_samples(view, magic, kind)


def _chunk_of_samples(view: View, magic: bytes, kind: _Kind) -> Samples | None:
    order, head_size = kind.head[0], struct.calcsize(kind.head)
    whole = None
    if magic in (b"RIFF", b"RIFX", b"FORM") and view.size >= 8:
        (whole,) = struct.unpack(f"{order}I", view.at(4, 4))
    place, block, long_field, odd = kind.first, 1, None, False
    while len(head := view.at(place, head_size)) == head_size:
        name, length = struct.unpack(kind.head, head)
        if odd and not _CHUNK_NAME.match(name):  # some writers omit the padding byte
            place, odd = place - 1, False
            continue
        field, form = place + head_size - struct.calcsize(kind.head[-1:]), kind.head[-1]
        place += head_size
        length = max(length - kind.counted, 0)
        if name == b"ds64":
            long_field = place + 8
        if name == b"fmt " and len(form_of := view.at(place, 16)) == 16:
            block = struct.unpack(f"{order}H", form_of[12:14])[0] or 1
        if name in kind.names:
            if long_field is not None and len(long := view.at(long_field, 8)) == 8:
                (length,), field, form = struct.unpack("<Q", long), long_field, "Q"
            return Samples(place, length, (field, order + form), kind.counted, block, whole)
        padded = -(-length // kind.multiple) * kind.multiple
        place, odd = place + padded, padded != length
    return None


_LARGE = 2**27
"""Bytes of samples above which a length may mean "unknown"."""
_ROUND = ((2**30, 2**16), (2**24, 2**7), (10**6, 2**7))
"""Steps that lengths meaning "unknown" are near multiples of, with the tolerance in bytes."""


def _is_open(samples: Samples, view: View) -> bool:
    """Whether the length in a header means "unknown", as in a file that was written to a pipe.

    This holds if the length is 0 and samples follow. It also holds if the length is more than the
    content and is not a count of whole samples, is more than the whole file in the same header, or
    is a placeholder: near a power of 2 that bounds a field, or a round number.
    """
    place, length, whole = samples.place, samples.length, samples.whole
    if length == 0:
        whole_unknown = whole is not None and (whole + 8 <= place or _is_made_up(whole))
        return whole_unknown or not _CHUNK_NAME.match(view.at(place, 4))
    if length <= view.size - place or length < _LARGE:
        return False
    contradicts = whole is not None and whole + 8 < place + length
    return contradicts or length % samples.block > 0 or _is_made_up(length)


def _is_made_up(length: int) -> bool:
    if length < _LARGE:
        return False
    return length >= 2**48 or any(
        min(length % step, -length % step) <= near for step, near in _ROUND
    )

"""The formats of ``torch.save``: zip archives (torch 1.6 and later), and sequences of pickles."""

from __future__ import annotations

import pickle
import zipfile
import zlib
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from waveflow.io.paths import errors_begin_with
from waveflow.io.torch_files.machine import Machine
from waveflow.io.torch_files.names import Name
from waveflow.io.torch_files.source import Source
from waveflow.io.torch_files.tensors import Storages

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_MOST_MEMBERS = 100_000
_LARGEST_PICKLE = 2**26


def read_tensors(file: str | Path | BinaryIO, *, classes: str = "") -> Any:
    """Read a file of ``torch.save``, of any version of torch, without running anything in it.

    Args:
        file: path, or seekable binary file.
        classes: pattern of the full names of classes whose objects become records, besides those
            of torch. Classes are never imported.

    Returns:
        Numbers, strings, lists, tuples, dicts, sets, tensors on the CPU, element types, and a
        :class:`~waveflow.io.torch_files.Record` for every module.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is damaged, or contains something other than data; names it.
    """
    if isinstance(file, str | Path):
        with Path(file).open("rb") as opened, errors_begin_with(file):
            return read_tensors(opened, classes=classes)
    try:
        start = file.read(4)
        file.seek(0)
        read = _read_zip if start == b"PK\x03\x04" else _read_row
        return read(file, classes)
    except (ValueError, *_PARSERS) as error:
        known = isinstance(error, ValueError) and not isinstance(error, UnicodeError)
        text = str(error) if known else f"a damaged file ({type(error).__name__})"
        raise ValueError(f"expected tensors saved by torch; got {text}") from None


_PARSERS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),
    *(pickle.UnpicklingError, KeyError, IndexError, AttributeError, OverflowError),
)


def _read_zip(file: BinaryIO, classes: str) -> Any:
    """The object in an archive of ``data.pkl`` and one member for each storage."""
    size = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        members = _members(archive, size)
        pickles = [name for name in members if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ValueError(f"an archive with {len(pickles)} pickles named data.pkl")
        folder = pickles[0].removesuffix("data.pkl")
        if members[pickles[0]].file_size > _LARGEST_PICKLE:
            raise ValueError(f"a pickle of more than {_LARGEST_PICKLE} bytes")

        def fill(key: str, count: int) -> bytearray:
            member = members.get(f"{folder}data/{key}")
            if member is None or member.file_size != count:
                raise ValueError("a storage that is missing, or of another size than claimed")
            return bytearray(archive.read(member))

        storages = Storages(size, fill)
        source = Source(BytesIO(archive.read(pickles[0])))
        saved = Machine(source, partial(_by_id, storages), classes).run()
        if (order := f"{folder}byteorder") in members:
            storages.use_byteorder(archive.read(order)[:16].decode())
        return saved


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name: uncompressed, without duplicates, together not larger than the file."""
    infos = archive.infolist()
    members = {info.filename: info for info in infos}
    if len(members) != len(infos) or len(infos) > _MOST_MEMBERS:
        raise ValueError("an archive with duplicate members, or with too many")
    for name, info in members.items():
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise ValueError("an archive with paths that lead out of it")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise ValueError("an archive with compressed or encrypted members")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("an archive whose members are larger than itself")
    return members


def _read_row(file: BinaryIO, classes: str) -> Any:
    """The object in a sequence of pickles, followed by the little-endian storages."""
    if file.read(1) != b"\x80":
        raise ValueError("another kind of file")
    file.seek(0)
    source = Source(file)
    storages = Storages(source.left)
    if Machine(source).run() != _MAGIC or Machine(source).run() != _PROTOCOL:
        raise ValueError("another kind of file")
    Machine(source).run()  # sizes of C's types, on the machine that saved
    saved = Machine(source, partial(_by_id, storages), classes).run()
    keys = Machine(source).run()
    if type(keys) is not list or not all(
        type(key) is str and key in storages.content for key in keys
    ):
        raise ValueError("a damaged file (no list of storages)")
    if not len(keys) == len({*keys}) == len(storages.content):
        raise ValueError("a damaged file (storages are missing)")
    for key in keys:
        dtype, content = storages.content[key]
        if int.from_bytes(source.read(8), "little") * dtype.itemsize != len(content):
            raise ValueError("a storage of another size than claimed")
        content[:] = source.read(len(content))
    storages.use_byteorder("little")
    return saved


def _by_id(storages: Storages, saved_id: Any) -> Any:
    """The storage of an id; in sequences of pickles it may also be a view, or a class."""
    kind, *rest = saved_id if type(saved_id) is tuple and saved_id else (None,)
    if kind == "module" and len(rest) == 3 and isinstance(rest[0], Name):
        return rest[0]
    if kind != "storage" or len(rest) not in (4, 5):
        raise ValueError("a damaged pickle (an unknown kind of id)")
    dtype, key, _, count, *view = rest
    storage = storages.get(dtype, key, count)
    if not view or view[0] is None:
        return storage
    if type(view[0]) is not tuple or len(view[0]) != 3:
        raise ValueError("a damaged pickle (no description of a view)")
    return storage.part(*view[0][1:])

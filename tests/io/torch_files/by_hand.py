"""Pickles and archives made by hand, as no honest program writes them."""

import io
import pickle
import struct
import zipfile

import torch


def text(value):
    """The operation that pushes a text."""
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def name(module, attribute):
    """The operations that push a name, in protocol 4, which allows dots."""
    return text(module) + text(attribute) + b"\x93"


def program(*operations):
    """A pickle of protocol 4."""
    return b"\x80\x04" + b"".join(operations) + b"."


def number(value):
    """The operation that pushes an integer."""
    return b"\x8a\x08" + struct.pack("<q", value)


def storage(key="0", count=4, kind="FloatStorage", view=b""):
    """The operations that push a storage; in a row of pickles, a view stands behind, or None."""
    parts = [text("storage"), name("torch", kind), text(key), text("cpu"), number(count), view]
    return b"(" + b"".join(parts) + b"tQ"


def tensor(size, stride, offset=0, *, hooks=b"}", **options):
    """The operations that push a tensor."""
    shapes = [b"(" + b"".join(map(number, shape)) + b"t" for shape in (size, stride)]
    arguments = [storage(**options), number(offset), *shapes, b"\x89", hooks]
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + b"".join(arguments) + b"tR"


def archive(pickled, members=None, *, compression=zipfile.ZIP_STORED, order=None):
    """A file of ``torch.save`` around a pickle, with storages by their names."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        made.writestr("archive/data.pkl", pickled)
        if order is not None:
            made.writestr("archive/byteorder", order)
        for key, content in (members or {"0": bytes(16)}).items():
            made.writestr(f"archive/data/{key}", content)
    return buffer.getvalue()


def row(pickled, keys=(), content=b""):
    """A file of ``torch.save`` before torch 1.6 around a pickle."""
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    start = b"".join(pickle.dumps(part, protocol=2) for part in parts)
    return start + pickled + pickle.dumps(list(keys), protocol=2) + content


def saved(value, *, legacy=False):
    """What ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()

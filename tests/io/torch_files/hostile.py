"""Files that want to run something, to take all memory, or to write elsewhere."""

import collections
import io
import os
import pickle
import struct
import subprocess
import tarfile
import zipfile
from pathlib import Path

import torch

from tests.interop.reference_forms import NEMO_CONFIG
from tests.io.torch_files.by_hand import (
    archive,
    name,
    number,
    program,
    row,
    saved,
    storage,
    tensor,
    text,
)


class Calls:
    """Unpickled, it calls something."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


def runs(marker):
    """Objects that make the file ``marker`` when they are unpickled."""
    command = f"touch {marker}"
    return {
        "os.system": Calls(os.system, command),
        "eval": Calls(eval, f"open({str(marker)!r}, 'w')"),
        "exec": Calls(exec, f"open({str(marker)!r}, 'w').close()"),
        "subprocess": Calls(subprocess.call, ["touch", str(marker)]),
        "path": Calls(Path.touch, Path(marker)),
        "state": Calls(collections.OrderedDict, state={"x": Calls(os.system, command)}),
        "hooks": Calls(
            torch._utils._rebuild_tensor_v2,
            torch.ones(1)._typed_storage(),
            *(0, (1,), (1,), False),
            collections.OrderedDict({0: Calls(os.system, command)}),
        ),
        "load": Calls(torch.storage._load_from_bytes, saved(Calls(os.system, command))),
        "size": Calls(torch.Size, Calls(os.system, command)),
    }


def running_files(folder):
    """Files that run something, name and content; each would make the marker beside it."""
    files = {}
    for legacy in (False, True):
        for what in runs("x"):
            stem = f"{what}-{'legacy' if legacy else 'zip'}"
            evil = runs(folder / f"{stem}.ran")[what]
            files[stem] = saved({"model": [torch.ones(2), evil]}, legacy=legacy)
        files[f"bare-{legacy}"] = pickle.dumps(
            runs(folder / f"bare-{legacy}.ran")["os.system"], protocol=4 if legacy else 2
        )
    return files


def _called(module, attribute, *arguments):
    return program(name(module, attribute), b"(", *map(text, arguments), b"tR")


NAMES = [  # module and attribute that would be found by a careless look-up
    ("os", "system"),
    ("builtins", "eval"),
    ("__builtin__", "eval"),
    ("torch.nn", "os.system"),
    ("torch.nn.os", "system"),
    ("torch.nn.modules.conv", "torch.os.system"),
    ("torch.nn.modules.module", "Module.__init__.__globals__"),
    ("torch.nn.modules.os", "System"),
    ("torch.nn.modules.conv.os", "system"),
    ("torch", "os.system"),
    ("torch.hub", "load"),
    ("torch.jit", "load"),
    ("torch.serialization", "load"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"),
    ("glow", "os.system"),
    ("glow", "os"),
    ("glow.os", "system"),
    ("copyreg", "_reconstructor"),
    ("copy_reg", "_reconstructor"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("functools", "partial"),
    ("waveflow.io.torch_files", "read_tensors"),
    ("collections.OrderedDict", "__class__"),
    ("os\nsystem", "x\r\x1b[31m"),
]


def odd_pickles():
    """Pickles that use the machine against itself, name and content."""
    system, touch = name("os", "system"), b"(" + text("touch x") + b"t"
    pairs = b")" + b"".join(b"\x94h" + bytes([index]) + b"\x86" for index in range(60))
    ordered = name("collections", "OrderedDict")
    return {
        **{f"name {'.'.join(words)}": _called(*words, "touch x") for words in NAMES},
        "build on a name": program(ordered, b"}", text("x"), text("y"), b"sb"),
        "build slots": program(ordered, b")RN}", text("__class__"), text("y"), b"s\x86b"),
        "build a tensor": program(tensor((2,), (1,)), b"(" + storage() + b"K\x00)tb"),
        "enlarge a tensor": program(
            tensor((4,), (1,)) + b"\x94(h\x00K\x00" + number(2**40) + b"\x85K\x00\x85tb"
        ),
        "build of a name": program(name("glow", "WaveGlow"), b")\x81", system, b"b"),
        "new of a function": program(ordered, b")\x81"),
        "newobj_ex": program(name("glow", "WaveGlow"), b")}\x92"),
        "inst": b"\x80\x02(" + text("touch x") + b"ios\nsystem\n.",
        "obj": program(b"(", name("glow", "WaveGlow"), text("touch x"), b"o"),
        "ext": program(b"\x82\x01"),
        "persid": b"\x80\x02Pos.system\n.",
        "id of a name": program(b"(" + system + touch + b"tQ"),
        "id of a text": program(text("os.system"), b"Q"),
        "id of a class": program(b"(" + text("module") + name("glow", "WN") + b"NNtQ"),
        "dtype called": program(name("torch", "float32"), b")R"),
        "record called": program(name("glow", "WN"), b")R)R"),
        "a name": program(ordered),
        "deep": program(b"(" * 500_000),
        "nested": program(b")" + b"\x85" * 900_000),
        "memo": program(b"Nr\xff\xff\xff\xff"),
        "key of a tuple": program(b"}" + b")" + b"\x85" * 1000 + b"Ns"),
        "key of pairs": program(b"}" + pairs + b"Ns"),
        "keys of pairs": program(b"}(" + pairs + b"Nu"),
        "element of pairs": program(b"\x8f(" + pairs + b"\x90"),
        "set of pairs": program(name("builtins", "set"), pairs + b"\x85\x85R"),
        "long keys": program(
            b"}", 2 * (text("k" * 2**22) + b"\x94"), b"00h\x00Ns", b"h\x01Ns" * 200_000
        ),
        "key of a list": program(b"}]Ns"),
        "key too large": program(b"}\x8a\x10" + b"\x7f" * 16 + b"Ns"),
        "large integer": program(b"\x8a\xff" + b"\x7f" * 255),
        "many dicts": program(b"}" * 1_100_000),
        "many sets": program(b"\x8f0" * 600_000),
        "text without end": program(b"X" + struct.pack("<I", 2**32 - 1)),
        "long text": program(b"\x8d" + struct.pack("<Q", 2**62)),
        "bytearray": program(b"\x96" + struct.pack("<Q", 2**62)),
        "long4": program(b"\x8b" + struct.pack("<I", 2**31 - 1)),
        "no stop": b"\x80\x04N",
        "no value": b"\x80\x04.",
        "pop the mark": program(b"(00"),
        "unknown memo": program(b"h\x07"),
        "protocol": b"\x80\x09N.",
        "copies": program(
            b"](" + b"K\x01" * 200_000 + b"e\x94", (name("torch", "Size") + b"h\x00\x85R0") * 50_000
        ),
        "states": program(
            b"}(" + b"".join(b"J" + struct.pack("<i", n) + b"N" for n in range(100_000)) + b"u\x94",
            name("glow", "WN") + b"\x94",
            b"h\x01)\x81h\x00b" * 50_000,
        ),
        "storage too large": program(tensor((4,), (1,), count=2**40)),
        "storage too small": program(tensor((4,), (1,), count=3)),
        "negative storage": program(tensor((4,), (1,), count=-4)),
        "storage missing": program(tensor((4,), (1,), key="7")),
        "storage elsewhere": program(tensor((4,), (1,), key="../data.pkl")),
        "other storage": program(tensor((2,), (1,), count=2, kind="QInt8Storage")),
        "two types": program(
            tensor((4,), (1,)), tensor((2,), (1,), count=2, kind="DoubleStorage"), b"\x86"
        ),
        "out of bounds": program(tensor((5,), (1,))),
        "offset": program(tensor((4,), (1,), 1)),
        "negative offset": program(tensor((2,), (1,), -1)),
        "stride": program(tensor((2, 2), (3, 1))),
        "negative stride": program(tensor((2,), (-1,), 1)),
        "negative size": program(tensor((-2, -2), (1, 1))),
        "expanded": program(tensor((2**40,), (0,))),
        "overlapping": program(tensor((3, 2), (1, 1))),
        "dimensions": program(tensor((1,) * 30, (1,) * 30)),
        "hook": program(tensor((4,), (1,), hooks=b"}K\x00Ns")),
        "empty and huge": program(tensor((0, 2**47, 2**47, 2**47), (1, 1, 1, 1))),
        "no storage": program(name("torch._utils", "_rebuild_tensor_v2"), b"(NNNNNNtR"),
        "too few arguments": program(name("torch._utils", "_rebuild_tensor_v2"), b")R"),
        "parameter": program(name("torch._utils", "_rebuild_parameter"), b"(N\x89}tR"),
        "pairs": program(ordered, b"(K\x01K\x02tR"),
        "set of lists": program(name("builtins", "set"), b"]]a\x85R"),
        "list": program(b"(" + b"K\x01" * 1000 + b"l"),
    }


def odd_files():
    """Archives and rows that lie about themselves, name and content."""
    fine = program(tensor((4,), (1,)))
    many = program(b"]", *[tensor((2**18,), (1,), count=2**18) + b"a"] * 10)
    bomb = archive(program(b"N"), {"0": bytes(2**22)}, compression=zipfile.ZIP_DEFLATED)
    out, twice = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("archive/data.pkl", fine)
        made.writestr("archive/../../evil", b"x")
    with zipfile.ZipFile(twice, "w") as made:
        made.writestr("a/data.pkl", fine)
        made.writestr("b/data.pkl", fine)
    whole = archive(fine, {"0": bytes(16), "1": bytes(2**20)})
    end = whole.rindex(b"PK\x05\x06")
    start = struct.unpack("<I", whole[end + 16 : end + 20])[0]
    entries = whole[start:end]
    last = entries[entries.rindex(b"PK\x01\x02") :]
    more = [last.replace(b"data/1", f"data/{i}".encode()) for i in "23456789"]
    counts = struct.pack("<HH", 3 + len(more), 3 + len(more))
    directory = entries + b"".join(more)
    overlapping = (
        whole[:start]
        + directory
        + whole[end : end + 8]
        + counts
        + struct.pack("<I", len(directory))
        + whole[end + 16 :]
    )
    old = program(tensor((4,), (1,), view=b"N"))
    content = struct.pack("<q", 4) + bytes(16)
    view = b"(" + text("v") + b"K\x02K\x09t"
    return {
        "nothing": b"",
        "text": b"a text that is no checkpoint",
        "zip of nothing": archive(b""),
        "zip cut": archive(fine)[:200],
        "compressed": bomb,
        "leads out": out.getvalue(),
        "two pickles": twice.getvalue(),
        "overlapping": overlapping,
        "same bytes": archive(many, {"0": bytes(2**20)}),
        "order": archive(fine, order="middle"),
        "row cut": row(old, ["0"], content[:-1]),
        "row without storage": row(old),
        "row of another size": row(old, ["0"], struct.pack("<q", 2) + bytes(16)),
        "row with a large storage": row(program(tensor((4,), (1,), count=2**40, view=b"N")), ["0"]),
        "row with strange keys": row(old, [["0"]], content),
        "row with other keys": row(old, ["1"], content),
        "row with a key twice": row(old, ["0", "0"], 2 * content),
        "row with a view": row(program(storage(view=view)), ["0"], content),
        "old tar": b"storages".ljust(257, b"\0") + b"ustar\0" + bytes(249),
    }


def _tar(*members, mode="w"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        for member, content in members:
            member = tarfile.TarInfo(member) if isinstance(member, str) else member
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def nemo_file(weights, mode):
    """An honest archive of NeMo."""
    config = ("model_config.yaml", NEMO_CONFIG.encode())
    return _tar(config, ("model_weights.ckpt", saved(weights)), mode=mode)


def nemo_files(marker):
    """Archives of NeMo that lie, name and content."""
    evil = saved(Calls(os.system, f"touch {marker}"))
    fine = saved({"upsample.weight": torch.ones(1)})

    made = _tar
    config, weights = ("model_config.yaml", NEMO_CONFIG.encode()), "model_weights.ckpt"
    link = tarfile.TarInfo(weights)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device = tarfile.TarInfo("zero")
    device.type = tarfile.CHRTYPE
    tag = f"!!python/object/apply:os.system ['touch {marker}']".encode()
    huge = made(config, (weights, fine))
    return {
        "evil": made(config, (weights, evil)),
        "outside": made(config, (weights, fine), ("../../evil", b"x")),
        "absolute": made(config, (weights, fine), ("/tmp/evil", b"x")),
        "link": made(config, (link, b"")),
        "device": made(config, (weights, fine), (device, b"")),
        "bomb": made(config, (weights, bytes(2**26)), mode="w:gz"),
        "tag": made(("model_config.yaml", tag), (weights, fine)),
        "long yaml": made(("model_config.yaml", b"a" * 2**17), (weights, fine)),
        "odd yaml": made(("model_config.yaml", b"a: !!int ''"), (weights, fine)),
        "deep yaml": made(("model_config.yaml", b"[" * 5000), (weights, fine)),
        "without weights": made(config),
        "twice": made(config, (weights, fine), (weights, evil)),
        "cut": huge[: len(huge) // 4],
        "cut gz": made(config, (weights, fine), mode="w:gz")[:300],
        "no WaveGlow": made(config, (weights, saved([1]))),
    }

"""Nothing in a hostile file is run, nothing is written, and no file takes all memory or time."""

import contextlib
import io
import json
import subprocess
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.io.torch_files.by_hand import archive, row, saved
from tests.io.torch_files.hostile import (
    nemo_file,
    nemo_files,
    odd_files,
    odd_pickles,
    running_files,
)
from tests.warm import WARM_PYTHON
from waveflow.interop.checkpoint import open_checkpoint
from waveflow.io.torch_files import read_tensors

WATCHED = """
import json, sys, time, warnings
from pathlib import Path
from waveflow.interop.checkpoint import open_checkpoint
from waveflow.interop.families import FAMILIES, class_pattern
from waveflow.io.torch_files import read_tensors

def read(path):
    start = time.process_time()
    try:
        if path.suffix == ".nemo":
            open_checkpoint(path)
        else:
            read_tensors(path, classes=class_pattern(*FAMILIES))
        told = "nothing", ""
    except Exception as error:
        told = type(error).__name__, str(error)
    return *told, time.process_time() - start

def peak():
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else ["VmHWM: 0 kB"]
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

REFUSED = ("os.", "subprocess.", "exec", "compile", "import", "pickle.", "ctypes.", "socket.",
           "shutil.", "code.", "function.", "marshal.", "tempfile.")

def watch(event, arguments):
    writes = event == "open" and (not arguments[1] or set(arguments[1]) & set("wax+"))
    if writes or event.startswith(REFUSED):
        seen.append(f"{event} {arguments}"[:200])

files = [path for path in Path(sys.argv[1]).iterdir() if path.is_file()]
for path in files:
    if path.name.startswith("fine"):
        read(path)  # codecs and the like are imported now
"".encode("cp437")
warnings.simplefilter("ignore")
seen = []
sys.addaudithook(watch)
before = peak()
told = {path.name: read(path) for path in files}
megabytes = (peak() - before) / 1024
print(json.dumps({"seen": seen, "told": told, "megabytes": megabytes}))
"""

CARELESS = """
import sys, torch, warnings
from pathlib import Path
warnings.simplefilter("ignore")
for path in Path(sys.argv[1]).iterdir():
    try:
        torch.load(path, weights_only=False)
    except Exception:
        pass
"""

HARMLESS = {"odd-empty and huge", "odd-nested", "odd-memo", "row-memo"}


def run(script, folder):
    command = [WARM_PYTHON, "-c", script, str(folder)]
    options = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": 120}
    return subprocess.run(command, check=True, **options).stdout


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Every hostile file, and what happened when it was read in a process that was watched."""
    folder = tmp_path_factory.mktemp("hostile")
    made = running_files(folder)
    made |= {f"odd-{what}": archive(content) for what, content in odd_pickles().items()}
    in_rows = {what: x for what, x in odd_pickles().items() if len(x) < 2**16}
    made |= {f"row-{what}": row(content) for what, content in in_rows.items()}
    made |= {f"file-{what}": content for what, content in odd_files().items()}
    nemo = nemo_files(folder / "nemo.ran")
    made |= {f"nemo-{what}.nemo": content for what, content in nemo.items()}
    (folder / "files").mkdir()
    names = {}
    for index, (what, content) in enumerate(made.items()):
        name = f"{index}.nemo" if what.endswith(".nemo") else str(index)
        names[name] = what
        (folder / "files" / name).write_bytes(content)
    for legacy in (False, True):
        fine = saved({"x": torch.ones(2)}, legacy=legacy)
        (folder / "files" / f"fine-{legacy}").write_bytes(fine)
    (folder / "files" / "fine.nemo").write_bytes(nemo["no WaveGlow"])
    result = json.loads(run(WATCHED, folder / "files"))
    told = {names.get(name, name): what for name, what in result["told"].items()}
    return folder, result, told


def test_all_are_refused_in_a_line(hostile):
    _, _, told = hostile
    for what, (kind, message, _) in told.items():
        if what in HARMLESS or what.startswith("fine-"):
            assert kind == "nothing", (what, message)
        else:
            assert kind == "ValueError", (what, kind, message)
            assert message.isprintable(), (what, message)
            assert len(message) < 300, (what, message)


def test_names_are_told(hostile):
    folder, _, told = hostile
    for what in running_files(folder):
        assert "could run code" in told[what][1], (what, told[what])
    assert "posix.system" in told["os.system-zip"][1]
    assert "__builtin__.eval" in told["eval-legacy"][1]
    assert "os.system" in told["odd-name torch.nn.os.system"][1]
    assert "torch.hub.load" in told["row-name torch.hub.load"][1]


def test_nothing_is_run_or_written(hostile):
    folder, result, _ = hostile
    assert result["seen"] == []
    assert [path.name for path in folder.iterdir()] == ["files"]


def test_no_file_takes_much_memory_or_time(hostile):
    _, result, told = hostile
    assert result["megabytes"] < 500
    assert max(told.values(), key=lambda what: what[2])[2] < 10


def test_the_same_files_run_when_they_are_loaded_carelessly(hostile, tmp_path):
    for what, content in running_files(tmp_path / "ran").items():
        (tmp_path / what).write_bytes(content)
    (tmp_path / "ran").mkdir()
    run(CARELESS, tmp_path)
    ran = {path.stem for path in (tmp_path / "ran").iterdir()}
    assert {"os.system-zip", "eval-zip", "exec-legacy", "subprocess-zip", "hooks-zip"} <= ran


SMALL = {
    "weights": [torch.arange(6.0).reshape(2, 3), torch.nn.Parameter(torch.ones(2).half())],
    "module": torch.nn.Sequential(torch.nn.Linear(1, 2)),
    "plain": {"a": [1, 2.5, None, True], "b": ("x", b"y", {3})},
}
ROW, ZIP = saved(SMALL, legacy=True), saved(SMALL)
with zipfile.ZipFile(io.BytesIO(ZIP)) as _opened:
    PICKLE = _opened.read("archive/data.pkl")
    STORED = {
        name.removeprefix("archive/data/"): _opened.read(name)
        for name in _opened.namelist()
        if name.startswith("archive/data/")
    }
WAYS = st.sampled_from(["set", "insert", "delete", "cut"])
EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.integers(0, 255), WAYS), min_size=1, max_size=6
)


def edited(content, edits):
    content = bytearray(content)
    for place, byte, what in edits:
        place %= len(content) or 1
        if what == "cut" and byte < 40:
            del content[place:]
        elif what == "delete":
            del content[place : place + byte % 8]
        elif what == "insert":
            content[place:place] = bytes([byte])
        else:
            content[place : place + 1] = bytes([byte])
    return bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        lambda edits: edited(ROW, edits),
        lambda edits: edited(ZIP, edits),
        lambda edits: archive(edited(PICKLE, edits), STORED),
    ],
    ids=["row", "zip", "pickle"],
)
@settings(max_examples=300, deadline=2000, derandomize=True, database=None)
@given(edits=EDITS)
def test_damaged_files_are_value_errors(make, edits):
    with contextlib.suppress(ValueError):
        read_tensors(io.BytesIO(make(edits)))


FINE = {"upsample.weight": torch.ones(1, 1, 4)}
NEMO = {mode: nemo_file(FINE, mode) for mode in ("w", "w:gz")}


@pytest.mark.parametrize("mode", NEMO)
@settings(max_examples=100, deadline=2000, derandomize=True, database=None)
@given(edits=EDITS)
def test_damaged_archives_are_value_errors(mode, edits, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "damaged.nemo"
    path.write_bytes(edited(NEMO[mode], edits))
    with contextlib.suppress(ValueError):
        open_checkpoint(path)

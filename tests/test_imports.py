"""Imports of every file point down the floors of ``docs/architecture.md``, and the package imports
lightly.
"""

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import waveflow
from waveflow.moved import MOVED, RENAMED

PACKAGE = Path(waveflow.__file__).parent
TABLE = (PACKAGE.parent / "docs/architecture.md").read_text(encoding="utf-8")
PLACES = {
    place: int(floor)
    for floor, places in re.findall(r"^\| (\d+) \| (.*) \|$", TABLE, re.MULTILINE)
    for place in re.findall("`(.+?)`", places)
}
"""Rooms, and files that stand on another floor than their room, by the floor."""
GUESTS = {
    "lightning": {"training"},
    "onnx": {"export"},
    "gradio": {"demo"},
    "jinja2": {"evaluation/html"},
    "huggingface_hub": {"pretrained"},
}
"""Packages that some files alone may import."""


def modules():
    """Every file of the package by the name that imports it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), path


FILES = dict(modules())
every_file = pytest.mark.parametrize(
    "path", FILES.values(), ids=lambda path: str(path.relative_to(PACKAGE))
)


def place(path):
    """The place of a file: the longest part of its path that stands on a floor."""
    inside = path.relative_to(PACKAGE).with_suffix("")
    return next((str(one) for one in (inside, *inside.parents) if str(one) in PLACES), None)


def executed(node):
    """Nodes of a syntax tree, but for what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from executed(child)


def imports(path, walk=ast.walk):
    """Names of the modules that a file imports anywhere, in functions and for types, too."""
    for node in walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: expected imports by full names"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                yield name if name in FILES else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_every_room_has_its_line():
    described = re.findall(r"^\| `(.+?)(?:/|\.py)` \|", TABLE, re.MULTILINE)
    assert sorted(described) == sorted(place for place in PLACES if "/" not in place)


@every_file
def test_imports_point_down(path):
    here = place(path)
    assert here is not None, "a new room: write it on its floor of docs/architecture.md"
    for name in imports(path):
        there = place(FILES[name]) if name in FILES else None
        assert there in (None, here) or PLACES[there] < PLACES[here], f"{here} imports {name}"


def test_every_file_that_is_no_code_is_packaged():
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    packaged = {
        path
        for name, patterns in project["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in PACKAGE.parent.joinpath(*name.split(".")).glob(pattern)
    }
    others = {
        path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }
    assert packaged == {path for path in others if path.suffix != ".py"}


def test_no_files_import_one_another():
    below = {
        name: {other for other in imports(path, executed) if other in FILES}
        for name, path in FILES.items()
    }
    graphlib.TopologicalSorter(below).prepare()  # raises an error that names the circle


@every_file
def test_other_packages_stay_in_their_rooms(path):
    here = place(path)
    outside = {name.partition(".")[0] for name in imports(path)} - {"waveflow"}
    for name, rooms in GUESTS.items():
        known = {here, str(path.relative_to(PACKAGE).with_suffix(""))}
        assert name not in outside or rooms & known, f"{here} imports {name}"
    if here == "io":
        assert outside - sys.stdlib_module_names <= {"torch", "numpy", "yaml"}


@pytest.mark.parametrize(
    ("old", "new"), [*MOVED.items(), ("waveflow.inference.export.onnx", "waveflow.export.onnx")]
)
def test_former_names_are_the_modules_of_today(old, new):
    for name in [name for name in sys.modules if name.startswith(tuple(MOVED))]:
        del sys.modules[name]
    with pytest.warns(DeprecationWarning, match=f"expected `{new.removesuffix('.onnx')}`"):
        assert importlib.import_module(old) is importlib.import_module(new)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [(module, *names) for module, table in RENAMED.items() for names in table.items()],
)
def test_former_names_are_the_objects_of_today(module, old, new):
    package = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=f"^expected `{new}`; `{old}` goes in ") as warned:
        assert getattr(package, old) is getattr(package, new)
    assert warned[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=f"`{old}` goes in ") as warned:
        exec(f"from {module} import {old}", scope := {})
    assert scope[old] is getattr(package, new)
    assert {warning.filename for warning in warned} == {"<string>"}
    assert old not in getattr(package, "__all__", ())


def test_names_that_never_were_are_unknown():
    for module in RENAMED:
        with pytest.raises(AttributeError, match=f"module '{module}' has no attribute 'Nobody'"):
            importlib.import_module(module).Nobody  # noqa: B018


def test_every_former_name_is_documented():
    page = (PACKAGE.parent / "docs/deprecation.md").read_text(encoding="utf-8")
    renamed = {
        f"{module}.{old}": f"{module}.{new}"
        for module, table in RENAMED.items()
        for old, new in table.items()
    }
    for old, new in {**MOVED, **renamed}.items():
        assert f"| `{old}` | `{new}` | 0.2 |" in page


LIGHT = """
import os, sys, time

def fork(measure):
    child = os.fork()
    if not child:
        print(measure(), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

def heavy():
    import waveflow
    return [name for name in sys.argv[1:] if name in sys.modules]

def seconds():
    import torch  # at once: it is there
    start = time.process_time()
    import waveflow
    return time.process_time() - start

fork(heavy)
import torch
for _ in range(3):
    fork(seconds)
"""


def test_import_is_light():
    names = "torchaudio lightning gradio librosa scipy matplotlib huggingface_hub soxr numba"
    command = [sys.executable, "-c", LIGHT, *names.split()]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    heavy, *seconds = done.stdout.splitlines()
    assert heavy == "[]"
    assert min(map(float, seconds)) < 0.5

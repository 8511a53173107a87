"""Imports point down DESIGN's table, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import waveflow

PACKAGE = Path(waveflow.__file__).parent
ALLOWED = {
    "bijections": set(),
    "nets": set(),
    "audio": {"io"},
    "models": {"audio", "bijections", "nets"},
    "flow": {"bijections"},
    "noise": set(),
    "devices": set(),
    "io": set(),
    "version": set(),
    "config": {"audio", "models", "bijections", "nets"},
    "inference": {"audio", "nets", "bijections", "models", "flow", "config", "io", "noise"}
    | {"devices", "version"},
    "pretrained": {"audio", "config", "io", "version"},
    "latents": set(),
    "vocoder": {"audio", "nets", "models", "flow", "config", "io", "noise", "inference"}
    | {"devices"}
    | {"pretrained"},
}
BELOW = {*ALLOWED}
ANYWHERE = {"checks", "precision"}
"""Rooms that import nothing of the others, and that all others may."""
ALLOWED |= {
    "export": {*BELOW},
    "interop": {*BELOW, "export"},
    "evaluation": {*BELOW, "export"},
    "training": {*BELOW},
    "demo": {*BELOW, "evaluation", "interop"},
    "cli": {*BELOW, "evaluation", "training", "interop", "demo", "export"},
    "__main__": {"cli"},
    "__init__": {*BELOW},
}


def executed(node):
    """Nodes of a syntax tree, but for what only type checkers read."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from executed(child)


def imports(path):
    for node in executed(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from names if node.module == "waveflow" else [node.module]
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_point_down(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in imports(path):
        if name.startswith("waveflow."):
            target = name.split(".")[1]
            allowed = ALLOWED.get(room, set()) | ANYWHERE
            assert target == room or target in allowed, f"{room} imports {name}"
            assert room not in ANYWHERE, f"{room} imports {name}"
        assert "lightning" not in name or room == "training" or path.stem == "workers"


def test_import_is_light():
    heavy = "torchaudio lightning gradio librosa scipy matplotlib huggingface_hub soxr numba"
    check = f"import sys, waveflow; print([m for m in '{heavy}'.split() if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", check], check=True, capture_output=True, text=True
    )
    assert found.stdout.strip() == "[]"
    clock = "import time, torch; t = time.process_time(); import waveflow; "
    timed = [sys.executable, "-c", clock + "print(time.process_time() - t)"]
    seconds = [float(subprocess.run(timed, check=True, capture_output=True).stdout) for _ in "123"]
    assert min(seconds) < 0.5

"""Former names of what is public: they still work, and warn."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED = {
    "waveflow.hub": "waveflow.pretrained.hub",
    "waveflow.inference.export": "waveflow.export",
    "waveflow.model_card": "waveflow.pretrained.card",
    "waveflow.pickles": "waveflow.io.torch_files",
}
"""Modules, with all below them, by their former names."""
RENAMED = {
    "waveflow.bijections": {"Lapped": "LappedTransform", "Polyphase": "Squeeze"},
    "waveflow.demo": {"Studio": "Backend"},
    "waveflow.evaluation": {"Recorded": "RecordingScore"},
    "waveflow.evaluation.bench.memory": {"Memory": "PeakMemory"},
    "waveflow.nets": {"Padded": "PaddedConv1d"},
}
"""Names in modules by their former names."""
_GOES = "0.2"
_INSIDE = ("waveflow", "dataclasses")


def warn_of(old: str, new: str) -> None:
    """Warn of a former name, at the line outside this package that uses it."""
    frame, level = sys._getframe(), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    text = f"expected `{new}`; `{old}` goes in {_GOES}"
    warnings.warn(text, DeprecationWarning, stacklevel=level)


def former_names(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that finds its former names in ``RENAMED``."""

    def find(name: str) -> Any:
        if name not in RENAMED[module]:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        new = RENAMED[module][name]
        warn_of(name, new)
        return getattr(sys.modules[module], new)

    return find


class FormerNames(MetaPathFinder, Loader):
    """Finds modules by their former names; they are the very modules of the names of today."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if _moved(fullname) else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        old = _moved(name)
        new = MOVED[old] + name.removeprefix(old)
        if name == old:
            warn_of(old, new)
        sys.modules[name] = import_module(new)


def _moved(name: str) -> str:
    """The module of ``MOVED`` that has this name or contains it; empty if there is none."""
    return next((old for old in MOVED if f"{name}.".startswith(f"{old}.")), "")

"""The state dict of a module that was saved whole, read without its class."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from waveflow.io.torch_files import Record

_MOST_MODULES = 100_000


def state_dict(module: Record) -> dict[str, Tensor]:
    """Names and tensors of a module and its children, like its own ``state_dict()``.

    Args:
        module: record of an ``nn.Module``.

    Raises:
        ValueError: ``module`` is not a module, or contains itself.
    """
    tensors: dict[str, Tensor] = {}
    pending, count = [("", module)], 0
    while pending:
        prefix, module = pending.pop()
        count += 1
        if count > _MOST_MODULES or prefix.count(".") > 16:
            raise ValueError("expected a module; got one that contains itself")
        for kind in ("_parameters", "_buffers"):
            for name, value in _entries(module, kind).items():
                if isinstance(value, Tensor):
                    tensors[f"{prefix}{name}"] = value
        for name, child in _entries(module, "_modules").items():
            if isinstance(child, Record):
                pending.append((f"{prefix}{name}.", child))
    return tensors


def unwrapped(module: Record) -> Record:
    """The model inside its wrappers (``DataParallel`` and similar)."""
    for _ in range(8):
        inner = _entries(module, "_modules")
        if list(inner) != ["module"] or not isinstance(inner["module"], Record):
            break
        module = inner["module"]
    return module


def attribute(module: Record, *names: str) -> Any:
    """An attribute of a child, as in ``attribute(module, "upsample", "stride")``, or None."""
    for name in names[:-1]:
        child = _entries(module, "_modules").get(name)
        if not isinstance(child, Record):
            return None
        module = child
    return module.state.get(names[-1])


def _entries(module: Record, kind: str) -> dict[str, Any]:
    entries = module.state.get(kind, {})
    if not isinstance(entries, dict) or not all(isinstance(name, str) for name in entries):
        raise ValueError(f"expected a module; got {module.name} without {kind}")
    return entries

"""The names that a pickle may use, and their meanings: data, never code of the file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from waveflow.io.torch_files.tensors import LONGEST_KEY, STORAGES, strided

_LONGEST = 128
"""Longest name of a module or of an object in it; longer ones are cut, and so unknown."""


@dataclass(slots=True)
class Record:
    """An object whose class was not loaded: its class name and its saved state.

    Attributes:
        name: module and name of the class, such as ``glow.WaveGlow``.
        state: its attributes, such as ``_parameters`` of a module.
    """

    name: str
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Name:
    """A constructor or a class, by its name.

    Attributes:
        name: module and name.
        make: function from the arguments of a call to its result.
        inert: whether the name is a class whose objects become records.
    """

    name: str
    make: Callable[..., Any]
    inert: bool = False


def find(module: str, name: str, classes: str = "") -> Name | torch.dtype:
    """The meaning of ``module.name``; ``classes`` is a pattern of more inert classes.

    Raises:
        ValueError: the name is not allowed; the error contains it.
    """
    full = f"{module[:_LONGEST]}.{name[:_LONGEST]}"
    if full in _TYPES:
        return _TYPES[full]
    if full in _CONSTRUCTORS:
        return Name(full, _CONSTRUCTORS[full])
    if len(full) < _LONGEST and (_INERT.fullmatch(full) or re.fullmatch(classes, full)):
        return Name(full, lambda *_: Record(full), inert=True)
    raise ValueError(f"an object of {shown(full)}, which is not loaded because it could run code")


def shown(text: str) -> str:
    """A name from a file as text for an error."""
    return text if re.fullmatch(r"[\w.]{1,80}", text) else ascii(text[:80])


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    return {scalar(key): value for key, value in map(_list, _list(pairs))}


def _set(items: Any = ()) -> set[Any]:
    return {scalar(item) for item in _list(items)}


def _bytes(text: Any, encoding: Any) -> bytes:
    """Bytes of protocol 2, which writes them as a string to encode."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("a damaged pickle (bytes in an unknown encoding)")
    return text.encode("latin-1")


def _list(items: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(items, list | tuple):
        raise ValueError(f"a damaged pickle (a list expected, not {type(items).__name__})")
    return items


def scalar(key: Any) -> Any:
    """Check that a key or an element of a set is cheap to hash and to compare."""
    if isinstance(key, str | bytes):
        cheap = len(key) <= LONGEST_KEY
    elif type(key) is int:
        cheap = -(2**63) <= key < 2**64
    else:
        cheap = type(key) in (float, bool, type(None))
    if not cheap:
        raise ValueError(f"a damaged pickle (a long key, or one of type {type(key).__name__})")
    return key


def _tensor(
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any = False, hooks: Any = None, *_: Any
) -> Any:
    if hooks:
        raise ValueError("a tensor with hooks, which are code")
    return strided(storage, offset, size, stride)


def _parameter(tensor: Any, *_: Any) -> Any:
    if not isinstance(tensor, torch.Tensor):
        raise ValueError(f"a parameter of type {type(tensor).__name__} instead of a tensor")
    return tensor


_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "builtins.set": _set,
    "__builtin__.set": _set,
    "_codecs.encode": _bytes,
    "torch.Size": lambda sizes=(): tuple(_list(sizes)),
    "torch.device": lambda *_: "cpu",
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
}

_TYPES = {
    **{f"torch.{name}": dtype for name, dtype in STORAGES.items()},
    **{str(dtype): dtype for dtype in STORAGES.values()},
}

_INERT = re.compile(
    # modules of torch, the wrappers that models are trained in, and weight norm's hook
    r"torch\.nn\.modules\.(activation|batchnorm|container|conv|dropout|linear|module|padding)"
    r"\.[A-Z]\w*"
    r"|(torch\.nn|apex)\.parallel\.(data_parallel|distributed)\.[A-Z]\w*"
    r"|torch\.nn\.utils\.weight_norm\.WeightNorm"
    # an attribute of every module before torch 1.0
    r"|torch\.nn\.backends\.thnn\._get_thnn_function_backend"
    r"|argparse\.Namespace"
)

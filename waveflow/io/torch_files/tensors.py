"""Make tensors from storages; every index is checked before use."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from waveflow.io.budget import TENSORS

STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
"""The supported element types, by torch's names of their storages."""

LONGEST_KEY = 2**10
"""Longest key: a pickle can look up a key a million times."""


class Storages:
    """The storages of one file, each made once.

    Args:
        budget: largest size of all storages together, in bytes.
        fill: function from key and size to the bytes of a storage; None if they are read later.
    """

    def __init__(self, budget: int, fill: Callable[[str, int], bytearray] | None = None):
        self.content: dict[str, tuple[torch.dtype, bytearray]] = {}
        self._left = budget
        self._fill = fill
        self._shared = TENSORS.of(budget)

    def get(self, dtype: Any, key: Any, count: Any) -> Storage:
        """The storage of ``key`` with ``count`` elements.

        Raises:
            ValueError: there is no such storage, or it has another type or size.
        """
        named = type(key) is str and len(key) <= LONGEST_KEY
        if not isinstance(dtype, torch.dtype) or not named or type(count) is not int:
            raise ValueError("a damaged pickle (no description of a storage)")
        size = count * dtype.itemsize
        if key not in self.content:
            if not 0 <= size <= self._left:
                raise ValueError(f"a storage of {size} bytes, more than the file holds")
            self._left -= size
            self.content[key] = dtype, self._fill(key, size) if self._fill else bytearray(size)
        stored, content = self.content[key]
        if (stored, len(content)) != (dtype, size):
            raise ValueError("a storage with two types or sizes")
        elements = (
            torch.frombuffer(content, dtype=dtype)
            if content
            else torch.empty(0, dtype=dtype, device="cpu")
        )
        return Storage(elements, self)

    def use_byteorder(self, byteorder: str) -> None:
        """Convert numbers from the byte order of the file, ``little`` or ``big``, to the machine's.

        Raises:
            ValueError: the byte order is unknown.
        """
        if byteorder not in ("little", "big"):
            raise ValueError("an unknown byte order")
        if byteorder != sys.byteorder:
            for dtype, content in self.content.values():
                np.frombuffer(content, f"u{dtype.itemsize}").byteswap(inplace=True)

    def spend(self, size: int) -> None:
        """Count the bytes of a new tensor.

        Raises:
            ValueError: all tensors together are much larger than the file.
        """
        self._shared -= size
        if self._shared < 0:
            raise ValueError(
                "tensors on the same bytes that are together much larger than the file"
            )


@dataclass(slots=True, eq=False)
class Storage:
    """The elements that tensors are views of; not a tensor itself, to allow no other operation."""

    elements: Tensor
    owner: Storages

    def part(self, offset: Any, count: Any) -> Storage:
        """``count`` elements from ``offset`` on.

        Raises:
            ValueError: the storage does not have them.
        """
        whole = type(offset) is int and type(count) is int
        if not whole or not 0 <= offset <= offset + count <= len(self.elements):
            raise ValueError("a view that exceeds its storage")
        return Storage(self.elements[offset : offset + count], self.owner)


def strided(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    """The tensor of ``size`` and ``stride`` that starts at ``offset`` of a storage.

    Raises:
        ValueError: the tensor exceeds the storage, or uses an element twice.
    """
    indices = _indices(size) and _indices(stride) and _indices((offset,))
    if not isinstance(storage, Storage) or not indices or len(size) != len(stride):
        raise ValueError("a damaged pickle (no description of a tensor)")
    elements = storage.elements
    if 0 in size:
        return elements[:0].reshape(size)
    if offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) >= len(elements):
        raise ValueError(f"a tensor of shape {tuple(size)} that exceeds its storage")
    span = 1
    for step, n in sorted((step, n) for n, step in zip(size, stride, strict=True) if n > 1):
        if step < span:
            raise ValueError(f"a tensor of shape {tuple(size)} whose elements overlap")
        span += (n - 1) * step
    tensor = elements[offset:].as_strided(tuple(size), tuple(stride))
    storage.owner.spend(tensor.nbytes)
    return tensor


def _indices(values: Any) -> bool:
    """Whether ``values`` is a short sequence of numbers that can be sizes, strides or offsets."""
    if not isinstance(values, tuple | list) or len(values) > 16:
        return False
    return all(type(value) is int and 0 <= value < 2**48 for value in values)

"""Checks of arguments. They do not convert: 1.0 is not a whole number, and is not rounded to one.

NumPy numbers and tensors of one element count as numbers and are returned as Python numbers.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor


def whole(value: Any, what: str) -> int:
    """Check a whole number.

    Args:
        value: value of any type.
        what: name of the value in the error.

    Raises:
        ValueError: ``value`` is not a whole number, such as 1.0 or True.

    >>> whole(np.int64(3), "seed")
    3
    >>> whole(0.7, "seed")
    Traceback (most recent call last):
    ...
    ValueError: expected a whole number as seed; got 0.7
    """
    try:
        if not _is_truth(value):
            return operator.index(value)
    except (TypeError, RuntimeError):
        pass
    raise ValueError(f"expected a whole number as {what}; got {shown(value)}")


def whole_numbers(values: Any, what: str) -> list[int]:
    """Check the whole numbers of a sequence, an array or a tensor.

    Raises:
        ValueError: ``values`` are not whole numbers, such as lengths relative to the longest.
    """
    if not isinstance(values, Iterable) or isinstance(values, str | bytes) or _is_scalar(values):
        raise ValueError(f"expected whole numbers as {what}; got {shown(values)}")
    return [whole(value, what) for value in values]


def real(value: Any, what: str) -> float:
    """Check a number; the caller checks that it is finite and in range.

    Raises:
        ValueError: ``value`` is not a number, such as a string or True.

    >>> real(np.float32(0.5), "temperature")
    0.5
    """
    number = value.item() if _is_scalar(value) else value
    if not isinstance(number, Real) or _is_truth(number):
        raise ValueError(f"expected a number as {what}; got {shown(value)}")
    return number if isinstance(number, int | float) else float(number)


def floating(
    value: Any,
    name: str,
    shape: str,
    *,
    what: str = "a floating-point tensor",
    unit: str = "samples",
) -> Tensor:
    """Check a floating-point tensor of finite numbers.

    Args:
        value: value of any type.
        name: name of the argument, for the error.
        shape: expected shape with one word per axis, such as ``(batch, time)``.
        what: description of the expected value, for the error.
        unit: name of the numbers, for the error.

    Raises:
        ValueError: ``value`` is not such a tensor.
    """
    axes = shape.count(",") + (not shape.endswith(",)"))
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.dim() != axes:
        raise ValueError(f"{name}: expected {what} of shape {shape}; got {described(value)}")
    if not value.isfinite().all():
        raise ValueError(f"{name}: expected finite {unit}; got NaN or infinity")
    return value


def described(value: object) -> str:
    """The description of a value that is not such a tensor, for an error."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return type(value).__name__


def tensor(value: Any, name: str) -> Tensor:
    """Check a tensor of any type and shape.

    Raises:
        ValueError: ``value`` is not a tensor.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor; got {described(value)}")
    return value


def truth(value: Any, what: str) -> bool:
    """Check True or False.

    Raises:
        ValueError: ``value`` is not a boolean, such as 1 or "no".
    """
    if not _is_truth(value):
        raise ValueError(f"expected True or False as {what}; got {shown(value)}")
    return bool(value)


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool | np.bool_) or getattr(value, "dtype", None) in _TRUTHS


_TRUTHS = (torch.bool, np.dtype(bool))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray) and value.ndim == 0


def shown(value: Any) -> str:
    """A value as text for an error: a single number itself, an array by type and shape."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        count = value.numel() if isinstance(value, Tensor) else value.size
        return repr(value.item()) if count == 1 else f"{value.dtype} of shape {tuple(value.shape)}"
    return f"{value!r:.100}"

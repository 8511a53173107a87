"""Arguments checked, not converted: what is no whole number is none, and nothing is cut to one.

NumPy's numbers and tensors of one element are numbers like Python's, and come back as Python's.
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
    """A whole number.

    Args:
        value: of any type.
        what: its name in the error.

    Raises:
        ValueError: anything else, such as 1.0 or True.

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
    """Whole numbers, of a sequence, an array or a tensor.

    Raises:
        ValueError: anything else, such as lengths that are relative to the longest.
    """
    if not isinstance(values, Iterable) or isinstance(values, str | bytes) or _is_scalar(values):
        raise ValueError(f"expected whole numbers as {what}; got {shown(values)}")
    return [whole(value, what) for value in values]


def real(value: Any, what: str) -> float:
    """A number; whether it is finite and in its range is for the caller to say.

    Raises:
        ValueError: anything else, such as a text or True.

    >>> real(np.float32(0.5), "temperature")
    0.5
    """
    number = value.item() if isinstance(value, Tensor | np.ndarray) and _is_scalar(value) else value
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
    """A floating-point tensor of finite numbers.

    Args:
        value: of any type.
        name: of the argument.
        shape: as the error tells it, such as ``(batch, time)``, one word an axis.
        what: is expected, as the error tells it.
        unit: what its numbers are.

    Raises:
        ValueError: anything else.
    """
    axes = shape.count(",") + (not shape.endswith(",)"))
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.dim() != axes:
        raise ValueError(f"{name}: expected {what} of shape {shape}; got {described(value)}")
    if not value.isfinite().all():
        raise ValueError(f"{name}: expected finite {unit}; got NaN or infinity")
    return value


def described(value: object) -> str:
    """What stands in an error for what is no such tensor."""
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return type(value).__name__


def tensor(value: Any, name: str) -> Tensor:
    """A tensor of any type and shape.

    Raises:
        ValueError: anything else.
    """
    if not isinstance(value, Tensor):
        raise ValueError(f"{name}: expected a tensor; got {described(value)}")
    return value


def truth(value: Any, what: str) -> bool:
    """True or False.

    Raises:
        ValueError: anything else, such as 1 or "no".
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
    """A value in an error: a number itself, of more numbers type and shape."""
    if isinstance(value, Tensor | np.ndarray | np.generic):
        count = value.numel() if isinstance(value, Tensor) else value.size
        return repr(value.item()) if count == 1 else f"{value.dtype} of shape {tuple(value.shape)}"
    return f"{value!r:.100}"

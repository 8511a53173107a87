"""Affine maps of each row: all that is linear and follows one another is one matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from waveflow.streaming.products import product
from waveflow.streaming.rows import Line, Push, Stage
from waveflow.streaming.weights import baked


class Linear:
    r"""Every row by itself: :math:`y = x W + b`.

    Args:
        weight: (in, out), or (channels,) for a diagonal; float64.
        bias: (out,), float64.
        like: a tensor, for the precision and device of what is run.
    """

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor):
        self._weight, self._bias = baked(weight, like), baked(bias, like)

    def __call__(self, rows: Tensor) -> Tensor:
        """(steps, in) -> (steps, out)."""
        if self._weight.dim() == 1:
            return torch.addcmul(self._bias, rows, self._weight)
        return product(self._bias, rows, self._weight)

    def begin(self, context: Line) -> Push:
        return lambda rows, last: self(rows)

    def ready(self, steps: int) -> int:
        return steps

    def needs(self, step: int) -> int:
        return step

    def then(self, other: Linear) -> Linear:
        """One map that is this, then the other."""
        first, second = self._matrix(), other._matrix()
        bias = self._bias.double() @ second + other._bias
        return Linear(first @ second, bias, self._weight)

    def _matrix(self) -> Tensor:
        weight = self._weight.double()
        return weight.diag() if weight.dim() == 1 else weight


def merged(stages: Sequence[Stage]) -> list[Stage]:
    """The same with neighbouring linear maps made one."""
    result: list[Stage] = []
    for stage in stages:
        if result and isinstance(stage, Linear) and isinstance(result[-1], Linear):
            result[-1] = result[-1].then(stage)
        else:
            result.append(stage)
    return result

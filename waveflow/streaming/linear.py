"""Affine maps of each row; neighbouring ones are merged into one matrix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from waveflow.streaming.products import product
from waveflow.streaming.rows import PushFunction, SharedBuffer, Stage
from waveflow.streaming.weights import to_constant


class LinearStage(Stage):
    r"""An affine map of each row: :math:`y = x W + b`.

    Args:
        weight: The matrix (in, out), or its diagonal (channels,); float64.
        bias: The bias (out,), float64.
        like: A tensor with the precision and device of the computation.
    """

    def __init__(self, weight: Tensor, bias: Tensor, like: Tensor):
        self._weight, self._bias = to_constant(weight, like), to_constant(bias, like)

    def __call__(self, rows: Tensor) -> Tensor:
        """(steps, in) -> (steps, out)."""
        if self._weight.dim() == 1:
            return torch.addcmul(self._bias, rows, self._weight)
        return product(self._bias, rows, self._weight)

    def begin(self, context: SharedBuffer) -> PushFunction:
        return lambda rows, last: self(rows)

    def then(self, other: LinearStage) -> LinearStage:
        """One map that applies this one, then the other."""
        first, second = self._matrix(), other._matrix()
        bias = self._bias.double() @ second + other._bias
        return LinearStage(first @ second, bias, self._weight)

    def _matrix(self) -> Tensor:
        weight = self._weight.double()
        return weight.diag() if weight.dim() == 1 else weight


def merged(stages: Sequence[Stage]) -> list[Stage]:
    """The same stages, with neighbouring affine maps merged into one."""
    result: list[Stage] = []
    for stage in stages:
        if result and isinstance(stage, LinearStage) and isinstance(result[-1], LinearStage):
            result[-1] = result[-1].then(stage)
        else:
            result.append(stage)
    return result

"""Convolutions over rows, and what a chunk of rows leaves to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from waveflow.streaming.products import add_product
from waveflow.streaming.rows import Push
from waveflow.streaming.weights import baked, folded


@dataclass(frozen=True)
class Window:
    """How far a convolution sees: of (past + steps + future) rows it makes ``steps``."""

    past: int
    future: int

    def begin(
        self, edge: Tensor, work: Callable[[Tensor, int], Tensor]
    ) -> Callable[[Tensor, bool], Tensor]:
        """Push rows through ``work``; each push sees what earlier ones have left.

        Args:
            edge: (channels,), the row that stands before the first and after the last.
            work: (past + steps + future rows, steps) -> (steps, ...).
        """
        held = edge.expand(self.past, -1)
        after = edge.expand(self.future, -1)

        def push(rows: Tensor, last: bool) -> Tensor:
            nonlocal held
            seen = torch.cat([held, rows, after] if last else [held, rows])
            steps = max(len(seen) - self.past - self.future, 0)
            held = seen[steps:]
            return work(seen, steps)

        return push

    def ready(self, steps: int) -> int:
        """How many steps have come out when ``steps`` have gone in, and more will follow."""
        return max(steps - self.future, 0)


class Weighing(Protocol):
    """A convolution without its bias, as :class:`Window` shows it rows."""

    def add_to(self, total: Tensor, seen: Tensor) -> None:
        """Add to (steps, out) what (past + steps + future, in) rows give."""
        ...

    def of_constant(self, row: Tensor) -> Tensor:
        """What a signal gives that is the same (in,) at every step: (out,), float64."""
        ...


class Taps:
    r"""A dilated convolution as a sum of matrix products,
    :math:`y_t = \sum_k x_{t - \text{past} + k d}\, W_k`.

    The rows that a tap weighs are a slice of the signal, so nothing is gathered or reordered, and
    the products run at the speed of large matrices.

    Args:
        convolution: the convolution.
        scale: factor of each output channel, (out,).
        like: a tensor, for precision and device.
    """

    def __init__(self, convolution: nn.Conv1d, scale: Tensor, like: Tensor):
        weights, _ = folded(convolution)
        self._weights = [baked(weight * scale, like) for weight in weights]
        self._dilation = convolution.dilation[0]

    def add_to(self, total: Tensor, seen: Tensor) -> None:
        for tap, weight in enumerate(self._weights):
            first = tap * self._dilation
            add_product(total, seen[first : first + len(total)], weight)

    def of_constant(self, row: Tensor) -> Tensor:
        return row @ torch.stack(self._weights).double().sum(0)


class SeparableTaps:
    """A depthwise convolution, then a matrix.

    Args:
        convolution: the depthwise convolution.
        matrix: (in, out), float64, scaled already.
        like: a tensor, for precision and device.
    """

    def __init__(self, convolution: nn.Conv1d, matrix: Tensor, like: Tensor):
        weights = folded(convolution)[0][:, 0]
        self._weights = [baked(weight, like) for weight in weights]
        self._matrix = baked(matrix, like)
        self._dilation = convolution.dilation[0]

    def add_to(self, total: Tensor, seen: Tensor) -> None:
        rows = seen[: len(total)] * self._weights[0]
        for tap, weight in enumerate(self._weights[1:], 1):
            first = tap * self._dilation
            rows.addcmul_(seen[first : first + len(total)], weight)
        add_product(total, rows, self._matrix)

    def of_constant(self, row: Tensor) -> Tensor:
        return (row * torch.stack(self._weights).double().sum(0)) @ self._matrix.double()


class Convolution:
    """A convolution with its bias, as a stage of a network.

    Args:
        convolution: the convolution, which the zeros round a signal are part of.
        window: how far it sees.
    """

    def __init__(self, convolution: nn.Conv1d, window: Window):
        like = convolution.weight
        bias = folded(convolution)[1]
        self.window = window
        self.edge = like.new_zeros(convolution.in_channels)
        self._taps = Taps(convolution, torch.ones_like(bias), like)
        self._bias = baked(bias, like)

    def __call__(self, seen: Tensor, steps: int) -> Tensor:
        """(past + steps + future, in) -> (steps, out)."""
        total = self._bias.repeat(steps, 1)
        self._taps.add_to(total, seen)
        return total

    def begin(self) -> Push:
        """A fresh start."""
        return self.window.begin(self.edge, self)

"""Convolutions over rows, which carry the last rows of a piece over to the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from waveflow.streaming.products import add_product
from waveflow.streaming.rows import PushFunction, Reach
from waveflow.streaming.weights import as_taps, to_constant


@dataclass(frozen=True)
class Window(Reach):
    """The receptive field of a convolution: (past + steps + future) rows give ``steps`` rows.

    Attributes:
        past: Number of rows before a step that it sees.
        future: Number of rows after a step that it sees.
    """

    past: int
    future: int

    def begin(
        self, edge: Tensor, work: Callable[[Tensor, int], Tensor]
    ) -> Callable[[Tensor, bool], Tensor]:
        """A function that pushes rows through ``work``, and carries ``past`` rows over.

        Args:
            edge: The row before the first and after the last, (channels,).
            work: The convolution, (past + steps + future rows, steps) -> (steps, ...).
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

    def outputs_after(self, steps: int) -> int:
        return max(steps - self.future, 0)

    def first_input_of(self, step: int) -> int:
        return step - self.past


class ConvolutionTaps(Protocol):
    """A convolution without its bias, over the rows of a :class:`Window`."""

    def add_to(self, total: Tensor, seen: Tensor) -> None:
        """Add to (steps, out) the convolution of (past + steps + future, in) rows."""
        ...

    def of_constant(self, row: Tensor) -> Tensor:
        """The output (out,) for a signal that is ``row`` (in,) at every step; float64."""
        ...


class Taps:
    r"""A dilated convolution as a sum of matrix products,
    :math:`y_t = \sum_k x_{t - \text{past} + k d}\, W_k`.

    The rows of a tap are a slice of the signal, so nothing is gathered or reordered, and the
    products run at the speed of large matrices.

    Args:
        convolution: The convolution.
        scale: Factor of each output channel, (out,).
        like: A tensor with the precision and device of the computation.
    """

    def __init__(self, convolution: nn.Conv1d, scale: Tensor, like: Tensor):
        weights, _ = as_taps(convolution)
        self._weights = [to_constant(weight * scale, like) for weight in weights]
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
        convolution: The depthwise convolution.
        matrix: The scaled matrix, (in, out), float64.
        like: A tensor with the precision and device of the computation.
    """

    def __init__(self, convolution: nn.Conv1d, matrix: Tensor, like: Tensor):
        weights = as_taps(convolution)[0][:, 0]
        self._weights = [to_constant(weight, like) for weight in weights]
        self._matrix = to_constant(matrix, like)
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
    """A convolution with its bias over rows, with zeros before and after the signal.

    Args:
        convolution: The convolution.
        window: Its receptive field.
    """

    def __init__(self, convolution: nn.Conv1d, window: Window):
        like = convolution.weight
        bias = as_taps(convolution)[1]
        self.window = window
        self.edge = like.new_zeros(convolution.in_channels)
        self._taps = Taps(convolution, torch.ones_like(bias), like)
        self._bias = to_constant(bias, like)

    def __call__(self, seen: Tensor, steps: int) -> Tensor:
        """(past + steps + future, in) -> (steps, out)."""
        total = self._bias.repeat(steps, 1)
        self._taps.add_to(total, seen)
        return total

    def begin(self) -> PushFunction:
        """Start a signal."""
        return self.window.begin(self.edge, self)

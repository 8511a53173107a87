"""Stages of networks of gated layers that are conditioned on a context."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from waveflow.streaming.linear import LinearStage
from waveflow.streaming.products import add_product, product
from waveflow.streaming.rows import PushFunction, SequentialReach, SharedBuffer
from waveflow.streaming.taps import ConvolutionTaps, Window
from waveflow.streaming.weights import as_matrix, to_constant


class GatedBuilder:
    r"""Collects gated layers, and folds constants out of them.

    - A gate is :math:`\tanh a\;\sigma(b) = 2\,(\sigma(2a) - \tfrac12)\,\sigma(b)`. The factors of 2
      are folded into the weights before and after it. One sigmoid, which is faster than a tanh,
      then computes both factors.
    - The rows leave out the biases of the updates. They are :math:`\tilde h = h - \beta` in place
      of :math:`h`. The zeros before and after a signal become rows of :math:`-\beta`, and the
      convolution of the constant :math:`\beta` becomes part of the bias.

    Args:
        start: The convolution of kernel size 1 from the data to the hidden channels.
        condition: The convolution of kernel size 1 from the context to the conditions of all
            layers.
        ratio: Steps for each row of the context.
        parameters: Number of parameter channels that the rows carry beside the hidden channels.
    """

    def __init__(self, start: nn.Module, condition: nn.Module, ratio: int, *, parameters: int):
        self.like = next(start.parameters()).detach()
        self._start, bias = as_matrix(start)
        self._condition = as_matrix(condition)
        self._ratio = ratio
        self._layers: list[_Layer] = []
        self._channels = len(bias)
        self._missing = torch.cat([bias, bias.new_zeros(parameters)])  # beta
        self.scale = torch.ones_like(bias).repeat(2)
        self.scale[: self._channels] = 2

    def add(
        self,
        window: Window,
        taps: ConvolutionTaps,
        bias: Tensor,
        update: Tensor,
        update_bias: Tensor,
    ) -> None:
        """Add a layer.

        Args:
            window: The receptive field of the dilated convolution.
            taps: The dilated convolution, scaled by ``scale``.
            bias: The bias of that convolution, not scaled, (2 * channels,).
            update: The matrix from the gate to the update of the rows, (channels, n).
            update_bias: The bias of the update, (n,).
        """
        first = 2 * self._channels * len(self._layers)
        weight, condition_bias = (
            part[..., first : first + 2 * self._channels] for part in self._condition
        )
        bias = (condition_bias + bias) * self.scale
        bias = bias + taps.of_constant(self._missing[: self._channels])
        condition = LinearStage(weight * self.scale, bias, self.like)
        edge = to_constant(-self._missing, self.like)
        update = to_constant(2 * update, self.like)
        self._layers.append(_Layer(window, taps, condition, edge, update, self._ratio))
        self._missing = self._missing[-len(update_bias) :] + update_bias

    def with_end(self, end: Tensor, bias: Tensor) -> GatedStage:
        """The stage of all layers, with an affine map of the last rows at the end."""
        last = LinearStage(end, bias + self._missing @ end, self.like)
        start = to_constant(self._start, self.like)
        return GatedStage(start, start.new_zeros(self._channels), self._layers, last)

    def with_bias(self, bias: Tensor) -> GatedStage:
        """The stage of all layers. The last rows are the parameters, which start as ``bias``."""
        start = to_constant(self._start, self.like)
        first = torch.cat([bias.new_zeros(self._channels), bias + self._missing])
        return GatedStage(start, to_constant(first, self.like), self._layers, None)


@dataclass(frozen=True)
class _Layer:
    """A gated layer over rows of hidden channels and parameter channels."""

    window: Window
    taps: ConvolutionTaps
    condition: LinearStage
    edge: Tensor
    update: Tensor
    ratio: int

    def begin(self, context: SharedBuffer) -> PushFunction:
        reader = context.reader(self.ratio)
        channels, updated = self.update.shape

        def work(seen: Tensor, steps: int) -> Tensor:
            activation = reader.take(steps, self.condition)
            self.taps.add_to(activation, seen[:, :channels])
            filtered, gate = activation.sigmoid_().split(channels, 1)
            gated = filtered.sub_(0.5) * gate
            rows = seen[self.window.past : self.window.past + steps, -updated:]
            return product(rows, gated, self.update)

        return self.window.begin(self.edge, work)


class GatedStage(SequentialReach):
    """A gated network: rows (steps, in channels) -> parameters (steps, out channels).

    Args:
        start: The matrix from the data to the hidden channels, (in, channels).
        bias: The initial rows, before any update, (channels + parameters,).
        layers: The gated layers.
        end: The map from the last rows to parameters; None if the last rows are the parameters.
    """

    def __init__(self, start: Tensor, bias: Tensor, layers: list[_Layer], end: LinearStage | None):
        super().__init__([layer.window for layer in layers])
        self._start = start
        self._bias = bias
        self._layers = layers
        self._end = end

    def begin(self, context: SharedBuffer) -> PushFunction:
        layers = [layer.begin(context) for layer in self._layers]
        channels = self._start.shape[1]

        def push(rows: Tensor, last: bool) -> Tensor:
            wide = self._bias.expand(len(rows), -1).clone()
            add_product(wide[:, :channels], rows, self._start)
            for layer in layers:
                wide = layer(wide, last)
            return wide if self._end is None else self._end(wide)

        return push

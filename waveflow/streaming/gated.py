"""Networks of gated layers, steered by a context, as stages that rows are pushed through."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from waveflow.streaming.linear import Linear
from waveflow.streaming.products import add_product, product
from waveflow.streaming.rows import Line, Push
from waveflow.streaming.taps import Weighing, Window
from waveflow.streaming.weights import baked, pointwise


class GatedBuilder:
    r"""Gathers gated layers, and moves what can be moved out of their way.

    - A gate is :math:`\tanh a\;\sigma(b) = 2\,(\sigma(2a) - \tfrac12)\,\sigma(b)`: its twos go into
      the weights before and behind it, and one sigmoid, which is quicker than a tanh, does for
      both.
    - Biases of what is added to the rows are left out of them. With
      :math:`\tilde h = h - \beta` in their place, the zeros round a signal are rows of
      :math:`-\beta`, and what :math:`\beta` gives in a convolution is part of its bias.

    Args:
        start: the convolution of kernel size 1 that makes hidden channels of the data.
        condition: the one that makes every layer's share of the context.
        ratio: steps for each row of the context.
        parameters: how many go along with the hidden channels.
    """

    def __init__(self, start: nn.Module, condition: nn.Module, ratio: int, *, parameters: int):
        self.like = next(start.parameters()).detach()
        self._start, bias = pointwise(start)
        self._condition = pointwise(condition)
        self._ratio = ratio
        self._layers: list[_Layer] = []
        self._channels = len(bias)
        self._missing = torch.cat([bias, bias.new_zeros(parameters)])  # beta
        self.scale = torch.ones_like(bias).repeat(2)
        self.scale[: self._channels] = 2

    def add(
        self, window: Window, taps: Weighing, bias: Tensor, update: Tensor, update_bias: Tensor
    ) -> None:
        """A layer: ``taps`` scaled already, all else as in the network."""
        first = 2 * self._channels * len(self._layers)
        weight, condition_bias = (
            part[..., first : first + 2 * self._channels] for part in self._condition
        )
        bias = (condition_bias + bias) * self.scale
        bias = bias + taps.of_constant(self._missing[: self._channels])
        condition = Linear(weight * self.scale, bias, self.like)
        edge = baked(-self._missing, self.like)
        update = baked(2 * update, self.like)
        self._layers.append(_Layer(window, taps, condition, edge, update, self._ratio))
        self._missing = self._missing[-len(update_bias) :] + update_bias

    def with_end(self, end: Tensor, bias: Tensor) -> Conditioner:
        """All of it, with a matrix at the end."""
        last = Linear(end, bias + self._missing @ end, self.like)
        start = baked(self._start, self.like)
        return Conditioner(start, start.new_zeros(self._channels), self._layers, last)

    def with_bias(self, bias: Tensor) -> Conditioner:
        """All of it; the last rows are the parameters but for a bias, which they start with."""
        start = baked(self._start, self.like)
        first = torch.cat([bias.new_zeros(self._channels), bias + self._missing])
        return Conditioner(start, baked(first, self.like), self._layers, None)


class _Layer:
    """A gated layer over rows of hidden channels, and of what goes along with them."""

    def __init__(
        self,
        window: Window,
        taps: Weighing,
        condition: Linear,
        edge: Tensor,
        update: Tensor,
        ratio: int,
    ):
        self.window = window
        self._taps = taps
        self._condition = condition
        self._edge = edge
        self._update = update
        self._ratio = ratio

    def begin(self, context: Line) -> Push:
        reader = context.reader(self._ratio)
        channels, going_on = self._update.shape

        def work(seen: Tensor, steps: int) -> Tensor:
            activation = reader.take(steps, self._condition)
            self._taps.add_to(activation, seen[:, :channels])
            filtered, gate = activation.sigmoid_().split(channels, 1)
            gated = filtered.sub_(0.5) * gate
            rows = seen[self.window.past : self.window.past + steps, -going_on:]
            return product(rows, gated, self._update)

        return self.window.begin(self._edge, work)


class Conditioner:
    """The stage: rows (steps, in channels) -> parameters (steps, out channels).

    Args:
        start: (in, channels).
        bias: (channels + parameters,), what the rows are before anything is added to them.
        layers: the gated layers.
        end: what makes parameters of the last rows, if these are not parameters already.
    """

    def __init__(self, start: Tensor, bias: Tensor, layers: list[_Layer], end: Linear | None):
        self._start = start
        self._bias = bias
        self._layers = layers
        self._end = end

    def begin(self, context: Line) -> Push:
        layers = [layer.begin(context) for layer in self._layers]
        channels = self._start.shape[1]

        def push(rows: Tensor, last: bool) -> Tensor:
            wide = self._bias.expand(len(rows), -1).clone()
            add_product(wide[:, :channels], rows, self._start)
            for layer in layers:
                wide = layer(wide, last)
            return wide if self._end is None else self._end(wide)

        return push

    def ready(self, steps: int) -> int:
        for layer in self._layers:
            steps = layer.window.ready(steps)
        return steps

    def needs(self, step: int) -> int:
        return step - sum(layer.window.past for layer in self._layers)

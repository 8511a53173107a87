"""Frozen conditioners: the networks of couplings, as stages that rows are pushed through."""

from __future__ import annotations

from functools import singledispatch
from typing import cast

import torch
from torch import Tensor, nn

from waveflow.inference.linear import Linear
from waveflow.inference.products import add_product, product
from waveflow.inference.rows import Line, Push, Stage
from waveflow.inference.taps import SeparableTaps, Taps, Weighing, Window
from waveflow.inference.weights import baked, folded, pointwise
from waveflow.nets import SeparableWaveNet, WaveNet
from waveflow.nets.padded import Padded


@singledispatch
def freeze_conditioner(network: nn.Module, ratio: int) -> Stage:
    """A network ``(x, context) -> parameters`` as a stage.

    Args:
        network: the network.
        ratio: steps of ``x`` for each row of the context.

    Raises:
        TypeError: no frozen form is known of this kind of network.
    """
    raise TypeError(f"expected a WaveNet or SeparableWaveNet; got {type(network).__name__}")


@freeze_conditioner.register
def _(network: WaveNet, ratio: int) -> Stage:
    r"""Each skip goes through ``end`` by itself, :math:`(\sum_i g_i S_i) E = \sum_i g_i (S_i E)`.

    So a layer's rows are its hidden channels, and beside them the parameters as far as its
    predecessors have made them: fewer columns than there are skips.
    """
    channels = network.channels
    end, end_bias = pointwise(network.end)
    builder = _Builder(network.start, network.condition, ratio, parameters=len(end_bias))
    for module, residual_skip in zip(network.dilated, network.residual_skip, strict=True):
        dilated = cast(Padded, module)
        weight, bias = pointwise(residual_skip)
        taps = Taps(dilated, builder.scale, builder.like)
        builder.add(
            Window.of(dilated),
            taps,
            folded(dilated)[1],
            torch.cat([weight[:, :-channels], weight[:, -channels:] @ end], 1),
            torch.cat([bias[:-channels], bias[-channels:] @ end]),
        )
    return builder.with_bias(end_bias)


@freeze_conditioner.register
def _(network: SeparableWaveNet, ratio: int) -> Stage:
    builder = _Builder(network.start, network.condition, ratio, parameters=0)
    for module, mixing, residual in zip(
        network.depthwise, network.pointwise, network.residual, strict=True
    ):
        depthwise = cast(Padded, module)
        matrix, bias = pointwise(mixing)
        taps = SeparableTaps(depthwise, matrix * builder.scale, builder.like)
        bias = bias + folded(depthwise)[1] @ matrix
        builder.add(Window.of(depthwise), taps, bias, *pointwise(residual))
    return builder.with_end(*pointwise(network.end))


class _Builder:
    r"""Gathers gated layers, and moves what can be moved out of their way.

    - A gate is :math:`\tanh a\;\sigma(b) = 2\,(\sigma(2a) - \tfrac12)\,\sigma(b)`: its twos go into
      the weights before and behind it, and one sigmoid, which is quicker than a tanh, does for
      both.
    - Biases of what is added to the rows are left out of them. With
      :math:`\tilde h = h - \beta` in their place, the zeros round a signal are rows of
      :math:`-\beta`, and what :math:`\beta` gives in a convolution is part of its bias.
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

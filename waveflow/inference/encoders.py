"""Frozen context networks, as stages from mel rows to context rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from waveflow.inference.linear import Linear
from waveflow.inference.rows import Line, Push, Queue, Stage
from waveflow.inference.taps import Taps, Window
from waveflow.inference.weights import baked, folded, pointwise
from waveflow.nets import Bounded, MelEncoder, TransposedUpsampler
from waveflow.nets.mel_encoder import standardised
from waveflow.nets.padded import Padded


class ContextStage(Stage, Protocol):
    """A stage from mel rows to context rows.

    Attributes:
        rate: context rows for each frame.
    """

    rate: int


@singledispatch
def freeze_encoder(network: nn.Module) -> ContextStage:
    """A context network as a stage: mel rows (frames, n_mels) -> context rows.

    Raises:
        TypeError: no frozen form is known of this kind of network.
    """
    raise TypeError(f"expected a MelEncoder or TransposedUpsampler; got {type(network).__name__}")


@freeze_encoder.register
def _(network: MelEncoder) -> ContextStage:
    return Encoder(network)


@freeze_encoder.register
def _(network: TransposedUpsampler) -> ContextStage:
    return Upsampler(network)


class Encoder:
    """A :class:`waveflow.nets.MelEncoder`: (frames, n_mels) -> (frames, channels)."""

    rate = 1

    def __init__(self, network: MelEncoder):
        self._start = _Convolution(network.start)
        bounds: list[_Bound] = [_Bounds(cast(Bounded, layer)) for layer in network.bounds]
        self._bound, *inner = bounds or [_unbounded] * (1 + 2 * len(network.blocks))
        self._blocks: list[tuple[_Convolution, Linear, _Bound, _Bound]] = []
        for number, block in enumerate(network.blocks):
            _, convolution, _, mixing = cast(nn.Sequential, block)
            linear = Linear(*pointwise(mixing), network.start.weight)
            first = _Convolution(cast(Padded, convolution))
            self._blocks.append((first, linear, inner[2 * number], inner[2 * number + 1]))
        self._with_mel = network.with_mel
        self._windows = [self._start.window, *(block[0].window for block in self._blocks)]

    def begin(self, context: Line) -> Push:
        start = self._start.begin()
        blocks = [self._begin_block(*block) for block in self._blocks]
        waiting = Queue()

        def push(rows: Tensor, last: bool) -> Tensor:
            mel = standardised(rows)
            rows = self._bound(start(mel, last))
            for block in blocks:
                rows = block(rows, last)
            if not self._with_mel:
                return rows
            waiting.push(mel)
            return torch.cat([functional.silu(rows), waiting.take(len(rows))], 1)

        return push

    @staticmethod
    def _begin_block(
        convolution: _Convolution, mixing: Linear, bound_hidden: _Bound, bound: _Bound
    ) -> Push:
        window = convolution.window

        def work(seen: Tensor, steps: int) -> Tensor:
            hidden = bound_hidden(convolution(functional.silu(seen), steps))
            update = mixing(functional.silu(hidden))
            return bound(seen[window.past : window.past + steps] + update)

        return window.begin(convolution.edge, work)  # silu(0) is 0

    def ready(self, steps: int) -> int:
        for window in self._windows:
            steps = window.ready(steps)
        return steps

    def needs(self, step: int) -> int:
        return step - sum(window.past for window in self._windows)


_Bound = Callable[[Tensor], Tensor]


def _unbounded(rows: Tensor) -> Tensor:
    return rows


class _Bounds:
    """A :class:`waveflow.nets.Bounded` on rows, (steps, channels) -> (steps, channels)."""

    def __init__(self, bounded: Bounded):
        low, high = bounded.limits()
        self._low, self._high = low[:, 0].clone(), high[:, 0].clone()

    def __call__(self, rows: Tensor) -> Tensor:
        return torch.clamp(rows, self._low, self._high)


class _Convolution:
    """A padded convolution with its bias."""

    def __init__(self, convolution: Padded):
        like = convolution.weight
        bias = folded(convolution)[1]
        self.window = Window.of(convolution)
        self.edge = like.new_zeros(convolution.in_channels)
        self._taps = Taps(convolution, torch.ones_like(bias), like)
        self._bias = baked(bias, like)

    def __call__(self, seen: Tensor, steps: int) -> Tensor:
        """(past + steps + future, in) -> (steps, out)."""
        total = self._bias.repeat(steps, 1)
        self._taps.add_to(total, seen)
        return total

    def begin(self) -> Push:
        return self.window.begin(self.edge, self)


class Upsampler:
    """A :class:`waveflow.nets.TransposedUpsampler`: (frames, n_mels) -> (steps, n_mels * groups).

    As the stride is the hop, a frame's samples are a matrix product of it and the few frames
    before it; the columns stand in the order of the squeezed context already.
    """

    def __init__(self, network: TransposedUpsampler):
        weight = network.convolution.weight.detach().double()  # (in, out, kernel)
        hop_length, groups = network.hop_length, network.groups
        frames = -(-weight.shape[-1] // hop_length)
        weight = functional.pad(weight, (0, frames * hop_length - weight.shape[-1]))
        parts = weight.unflatten(-1, (frames, hop_length // groups, groups))
        # (in, out, frame, step, sample) -> (frame, in, step, out, sample), earliest frame first
        matrix = parts.permute(2, 0, 3, 1, 4).flip(0).flatten(0, 1).flatten(1)
        bias = cast(Tensor, network.convolution.bias).detach().double()
        bias = bias[:, None].expand(-1, groups).flatten().repeat(hop_length // groups)
        self._linear = Linear(matrix, bias, network.convolution.weight)
        self._channels = weight.shape[1] * groups
        self._window = Window(frames - 1, 0)
        self._edge = network.convolution.weight.new_zeros(weight.shape[0])
        self.rate = hop_length // groups

    def begin(self, context: Line) -> Push:
        def work(seen: Tensor, steps: int) -> Tensor:
            neighbours = [seen[shift : shift + steps] for shift in range(self._window.past + 1)]
            return self._linear(torch.cat(neighbours, 1)).view(-1, self._channels)

        return self._window.begin(self._edge, work)

    def ready(self, steps: int) -> int:
        return steps * self.rate

    def needs(self, step: int) -> int:
        return step // self.rate - self._window.past

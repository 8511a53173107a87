"""A context network at the mel's rate, where convolutions are cheap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor, nn

from waveflow.nets.bounded import Bounded
from waveflow.nets.padded import PaddedConv1d
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.rows import ContextStage, DelayLine, PushFunction, SharedBuffer
from waveflow.streaming.taps import Convolution
from waveflow.streaming.weights import as_matrix

STANDARD = 4.0
"""The unit of a standardised log-mel, in nats."""


class MelEncoder(nn.Module):
    """Mel to context at frame rate: residual convolutions over neighbouring frames.

    The networks after it process this context at its own rate and repeat the result to theirs, so
    the cost of conditioning does not grow with the squeezed rate.

    Args:
        n_mels: Number of bands of the mel.
        channels: Channels of the residual blocks.
        layers: Number of residual blocks.
        kernel_size: Number of frames that a convolution sees; odd.
        causal: Whether a context frame sees no mel frame after its own; otherwise it sees
            ``(layers + 1) * (kernel_size - 1) / 2`` of them.
        with_mel: Whether the context ends in a SiLU with the standardised mel appended
            (``channels + n_mels`` channels in all, so that a linear map of the context can read
            levels), and every layer is :class:`waveflow.nets.Bounded`.

    Attributes:
        out_channels: Channels of the context.
        rate: Steps of the context for each frame.

    Raises:
        ValueError: ``kernel_size`` is even.

    >>> import torch
    >>> encoder = MelEncoder(80, channels=16, layers=2)
    >>> encoder(torch.randn(1, 80, 5)).shape
    torch.Size([1, 16, 5])
    """

    rate = 1

    def __init__(
        self,
        n_mels: int,
        *,
        channels: int,
        layers: int,
        kernel_size: int = 3,
        causal: bool = False,
        with_mel: bool = False,
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"MelEncoder: expected an odd kernel_size; got {kernel_size}")
        self.with_mel = with_mel
        self.out_channels = channels + with_mel * n_mels
        self.start = PaddedConv1d(n_mels, channels, kernel_size, causal=causal)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                PaddedConv1d(channels, channels, kernel_size, causal=causal),
                nn.SiLU(),
                nn.Conv1d(channels, channels, 1),
            )
            for _ in range(layers)
        )
        self.bounds = nn.ModuleList(
            Bounded(channels) if with_mel else nn.Identity() for _ in range(1 + 2 * layers)
        )

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, out_channels, frames)."""
        mel = standardised(mel)
        bounds = iter(self.bounds)
        context = next(bounds)(self.start(mel))
        for block in self.blocks:
            _, convolution, _, mixing = cast(nn.Sequential, block)
            hidden = next(bounds)(convolution(nn.functional.silu(context)))
            update = mixing(nn.functional.silu(hidden))
            context = next(bounds)(context + update)
        return torch.cat([nn.functional.silu(context), mel], 1) if self.with_mel else context

    def stage(self) -> ContextStage:
        """The network as a stage of a stream."""
        return _MelEncoderStage(self)


_Bound = Callable[[Tensor], Tensor]


class _MelEncoderStage:
    """The encoder as a stage: (frames, n_mels) -> (frames, channels)."""

    rate = 1

    def __init__(self, network: MelEncoder):
        self._start = _convolution(network.start)
        bounds: Iterator[_Bound] = (
            layer.on_rows() if isinstance(layer, Bounded) else layer for layer in network.bounds
        )
        self._bound = next(bounds)
        self._blocks: list[tuple[Convolution, LinearStage, _Bound, _Bound]] = []
        for block in network.blocks:
            _, convolution, _, mixing = cast(nn.Sequential, block)
            linear = LinearStage(*as_matrix(mixing), network.start.weight)
            first = _convolution(cast(PaddedConv1d, convolution))
            self._blocks.append((first, linear, next(bounds), next(bounds)))
        self._with_mel = network.with_mel
        self._windows = [self._start.window, *(block[0].window for block in self._blocks)]

    def begin(self, context: SharedBuffer) -> PushFunction:
        start = self._start.begin()
        blocks = [self._begin_block(*block) for block in self._blocks]
        waiting = DelayLine()

        def push(rows: Tensor, last: bool) -> Tensor:
            mel = standardised(rows)
            rows = self._bound(start(mel, last))
            for block in blocks:
                rows = block(rows, last)
            if not self._with_mel:
                return rows
            waiting.push(mel)
            return torch.cat([nn.functional.silu(rows), waiting.take(len(rows))], 1)

        return push

    @staticmethod
    def _begin_block(
        convolution: Convolution, mixing: LinearStage, bound_hidden: _Bound, bound: _Bound
    ) -> PushFunction:
        window = convolution.window

        def work(seen: Tensor, steps: int) -> Tensor:
            hidden = bound_hidden(convolution(nn.functional.silu(seen), steps))
            update = mixing(nn.functional.silu(hidden))
            return bound(seen[window.past : window.past + steps] + update)

        return window.begin(convolution.edge, work)  # silu(0) is 0

    def outputs_after(self, steps: int) -> int:
        for window in self._windows:
            steps = window.outputs_after(steps)
        return steps

    def first_input_of(self, step: int) -> int:
        return step - sum(window.past for window in self._windows)


def _convolution(convolution: PaddedConv1d) -> Convolution:
    return Convolution(convolution, convolution.window())


def standardised(mel: Tensor) -> Tensor:
    """Log-mels of speech, with mean near -5 and deviation near 2, scaled to mean near 0 and
    deviation near 1/2.
    """
    return mel / STANDARD + 1.25

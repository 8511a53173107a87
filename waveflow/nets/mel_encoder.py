"""A context network that stays at the mel's rate, where convolutions cost little."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from waveflow.nets.bounded import Bounded
from waveflow.nets.padded import Padded

STANDARD = 4.0
"""Nats of a log-mel that are one unit of a standardised one."""


class MelEncoder(nn.Module):
    """Mel to context at frame rate: residual convolutions over neighbouring frames.

    Everything downstream repeats what it makes of this context to its own rate, so the cost of
    conditioning does not grow with the squeezed rate.

    Args:
        n_mels: bands of the mel.
        channels: channels of the residual blocks.
        layers: number of residual blocks.
        kernel_size: frames that one convolution sees; odd.
        causal: whether a context frame sees no mel frame after its own, in place of
            ``(layers + 1) * (kernel_size - 1) / 2``.
        with_mel: whether the context ends in a SiLU and carries the standardised mel beside it,
            ``channels + n_mels`` channels in all, so that a linear map of it can read levels, and
            whether every layer is :class:`waveflow.nets.Bounded`.

    Attributes:
        out_channels: channels of the context.

    Raises:
        ValueError: ``kernel_size`` is even.

    >>> import torch
    >>> encoder = MelEncoder(80, channels=16, layers=2)
    >>> encoder(torch.randn(1, 80, 5)).shape
    torch.Size([1, 16, 5])
    """

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
        self.start = Padded(n_mels, channels, kernel_size, causal=causal)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                Padded(channels, channels, kernel_size, causal=causal),
                nn.SiLU(),
                nn.Conv1d(channels, channels, 1),
            )
            for _ in range(layers)
        )
        bounds = 1 + 2 * layers if with_mel else 0
        self.bounds = nn.ModuleList(Bounded(channels) for _ in range(bounds))

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, out_channels, frames)."""
        mel = standardised(mel)
        context = self._bounded(0, self.start(mel))
        for number, block in enumerate(self.blocks):
            _, convolution, _, mixing = cast(nn.Sequential, block)
            hidden = convolution(nn.functional.silu(context))
            hidden = self._bounded(2 * number + 1, hidden)
            update = mixing(nn.functional.silu(hidden))
            context = self._bounded(2 * number + 2, context + update)
        return torch.cat([nn.functional.silu(context), mel], 1) if self.with_mel else context

    def _bounded(self, number: int, x: Tensor) -> Tensor:
        return self.bounds[number](x) if self.with_mel else x


def standardised(mel: Tensor) -> Tensor:
    """Log-mels of speech, whose mean is near -5 and deviation near 2, brought near 0 and 1/2."""
    return mel / STANDARD + 1.25

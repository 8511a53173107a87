"""A clamp of activations to their range in training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from waveflow.nets.constant import FusedBounded

_UNSEEN = 60_000.0
"""Initial minimum, and the negative of the initial maximum; finite in half precision."""

_SHRINKAGE = 1e-3
"""Fraction of a range by which it shrinks at both ends at every step of training."""


class Bounded(nn.Module):
    r"""The identity in training, which records the range of every channel; else a clamp to it.

    .. math:: y_k = \min(\max(x_k,\ \text{low}_k),\ \text{high}_k)

    A network extrapolates without bounds: on sounds unlike those of its training, residual layers
    amplify one another's outputs, and a flow whose scales depend on them overflows. The clamp maps
    activations outside the range of training to the nearest value inside, and leaves the others
    as they are.

    A range shrinks by a thousandth at every step at which no crop reaches its ends, so that the
    final range belongs to the final weights.

    Args:
        channels: Number of channels of the activations.

    >>> import torch
    >>> bounded = Bounded(1)
    >>> _ = bounded(torch.tensor([[[-1.0, 2.0]]]))
    >>> bounded.eval()(torch.tensor([[[-3.0, 1.0, 3.0]]]))
    tensor([[[-1.,  1.,  2.]]])
    """

    low: Tensor
    high: Tensor

    def __init__(self, channels: int):
        super().__init__()
        self.register_buffer("low", torch.full((channels, 1), _UNSEEN))
        self.register_buffer("high", torch.full((channels, 1), -_UNSEEN))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, steps) -> (batch, channels, steps)."""
        if not self.training:
            low, high = self.limits()
            return torch.minimum(torch.maximum(x, low.to(x.dtype)), high.to(x.dtype))
        with torch.no_grad():
            seen = x.detach().to(self.low.dtype)
            shrinkage = _SHRINKAGE * (self.high - self.low).clamp_min(0)
            torch.minimum(self.low + shrinkage, seen.amin((0, 2))[:, None], out=self.low)
            torch.maximum(self.high - shrinkage, seen.amax((0, 2))[:, None], out=self.high)
        return x

    def on_rows(self) -> Callable[[Tensor], Tensor]:
        """The clamp of rows, (steps, channels) -> (steps, channels)."""
        low, high = (limit[:, 0].clone() for limit in self.limits())
        return lambda rows: torch.clamp(rows, low, high)

    def fused(self) -> nn.Module:
        """The same clamp for a GPU, in one operator."""
        return FusedBounded(*self.limits())

    def limits(self) -> tuple[Tensor, Tensor]:
        """The bounds, (channels, 1) each; infinite before the first step of training."""
        unseen = self.low > self.high
        return (
            self.low.masked_fill(unseen, -torch.inf),
            self.high.masked_fill(unseen, torch.inf),
        )

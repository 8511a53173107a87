"""A memory of the range that activations had in training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from waveflow.nets.constant import FusedBounded

_UNSEEN = 60_000.0
"""Lowest value so far before there is any: finite in half precision, and above the highest."""

_FORGOTTEN = 1e-3
"""Share of a range that is forgotten at every step of training."""


class Bounded(nn.Module):
    r"""The identity in training, which remembers the range of every channel; later a clamp to it.

    .. math:: y_k = \min(\max(x_k,\ \text{low}_k),\ \text{high}_k)

    A network extrapolates without measure: on sounds unlike those of its training, residual layers
    enlarge one another's outputs, and a flow that reads scales from them ends in infinity. With the
    ranges of training kept, unknown sounds are read as the nearest known ones, and known sounds as
    before.

    A range that no crop reaches again shrinks by a thousandth a step, so that what is kept in the
    end belongs to the weights of the end.

    Args:
        channels: of the activations.

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
            forgotten = _FORGOTTEN * (self.high - self.low).clamp_min(0)
            torch.minimum(self.low + forgotten, seen.amin((0, 2))[:, None], out=self.low)
            torch.maximum(self.high - forgotten, seen.amax((0, 2))[:, None], out=self.high)
        return x

    def on_rows(self) -> Callable[[Tensor], Tensor]:
        """The clamp of rows, (steps, channels) -> (steps, channels)."""
        low, high = (limit[:, 0].clone() for limit in self.limits())
        return lambda rows: torch.clamp(rows, low, high)

    def fused(self) -> nn.Module:
        """What takes its place on a GPU: few operators."""
        return FusedBounded(*self.limits())

    def limits(self) -> tuple[Tensor, Tensor]:
        """The bounds, (channels, 1) each; infinite where nothing has been seen."""
        unseen = self.low > self.high
        return (
            self.low.masked_fill(unseen, -torch.inf),
            self.high.masked_fill(unseen, torch.inf),
        )

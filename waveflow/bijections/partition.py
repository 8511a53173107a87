"""Partitions: which half of the data a coupling keeps, and which half it moves."""

from __future__ import annotations

import torch
from torch import Tensor


class Partition:
    """A split of (batch, channels, steps) into ``kept`` and ``moved``, and its exact inverse.

    ``swap`` exchanges the two parts; couplings that follow one another alternate it, so that
    every element is moved in turn.
    """

    def __init__(self, *, swap: bool = False):
        self.swap = swap

    def sizes(self, channels: int) -> tuple[int, int]:
        """The channel counts of ``kept`` and ``moved``."""
        raise NotImplementedError

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, channels, steps) -> ``kept``, ``moved``, each (batch, its size, steps)."""
        raise NotImplementedError

    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        """Undo ``split``."""
        raise NotImplementedError

    def at(self, step: int) -> Partition:
        """The same partition of a signal that begins at that step."""
        return self

    def split_rows(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """``split`` of rows (steps, channels); the first row is that step of the signal."""
        kept, moved = self.at(step).split(rows.T[None])
        return kept[0].T, moved[0].T

    def merge_rows(self, kept: Tensor, moved: Tensor, step: int) -> Tensor:
        """Undo ``split_rows``."""
        return self.at(step).merge(kept.T[None], moved.T[None])[0].T


class Channels(Partition):
    """First half of the channels against the second (Real NVP's channel-wise mask).

    With an odd number of channels the first part is the smaller one.

    >>> import torch
    >>> kept, moved = Channels().split(torch.arange(4.0).reshape(1, 4, 1))
    >>> kept.flatten().tolist(), moved.flatten().tolist()
    ([0.0, 1.0], [2.0, 3.0])
    """

    def sizes(self, channels: int) -> tuple[int, int]:
        first, second = channels // 2, channels - channels // 2
        return (second, first) if self.swap else (first, second)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        half = x.shape[1] // 2
        first, second = x[:, :half], x[:, half:]
        return (second, first) if self.swap else (first, second)

    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([moved, kept] if self.swap else [kept, moved], dim=1)

    def split_rows(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        return self.split(rows)  # channels are the second axis of rows as well

    def merge_rows(self, kept: Tensor, moved: Tensor, step: int) -> Tensor:
        return self.merge(kept, moved)


class Checkerboard(Partition):
    """The colours of a checkerboard over channels and steps (Real NVP's spatial mask).

    An element is kept where ``channel + step`` is even (odd with ``swap``). Both parts are
    dense, with half the channels and every step, so ordinary convolutions read them. The number
    of channels must be even.

    >>> import torch
    >>> kept, moved = Checkerboard().split(torch.arange(4.0).reshape(1, 2, 2))
    >>> kept.flatten().tolist(), moved.flatten().tolist()
    ([0.0, 3.0], [2.0, 1.0])
    """

    def sizes(self, channels: int) -> tuple[int, int]:
        if channels % 2:
            raise ValueError(f"Checkerboard: expected an even number of channels; got {channels}")
        return channels // 2, channels // 2

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.sizes(x.shape[1])
        even, odd = x[:, 0::2], x[:, 1::2]
        keeps_even = self._keeps_even(x)
        return torch.where(keeps_even, even, odd), torch.where(keeps_even, odd, even)

    def merge(self, kept: Tensor, moved: Tensor) -> Tensor:
        keeps_even = self._keeps_even(kept)
        even, odd = torch.where(keeps_even, kept, moved), torch.where(keeps_even, moved, kept)
        return torch.stack([even, odd], dim=2).flatten(1, 2)

    def at(self, step: int) -> Checkerboard:
        return Checkerboard(swap=self.swap ^ (step % 2 == 1))

    def _keeps_even(self, x: Tensor) -> Tensor:
        """(steps,): is the even channel of each pair the kept one?"""
        return (torch.arange(x.shape[-1], device=x.device) + self.swap) % 2 == 0

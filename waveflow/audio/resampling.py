"""Audio to its low band at a lower rate, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.audio.frames import Frames
from waveflow.precision import Durable

REACH = 29
"""Samples of the low rate that the filters see to each side of a sample."""

PASS = 0.9
"""Share of the low rate's band that the filters let through."""

_BETA = 8.96  # of Kaiser's window: 90 dB
_BLOCK = 32  # samples of the low rate that one product makes, at most


class Resampler(Durable):
    r"""Low-pass filter and decimation by a whole number, and the interpolation that matches it.

    Sample n of the low rate stands at :math:`p_n = D n + (D - 1) / 2`, so that a clip's low samples
    lie symmetrically in it. With Kaiser's windowed sinc :math:`h` (J. F. Kaiser, *Nonrecursive
    digital filter design using the I0-sinh window function*, 1974),

    .. math:: y_n = \sum_t h(t - p_n)\, x_t, \qquad x_t = D \sum_n h(t - p_n)\, y_n ,

    which let ``PASS`` of the low rate's band through and take 90 dB from what would be heard there
    as an alias. Both are products of overlapping blocks with one matrix. Beyond its ends audio is
    silent, or mirrored, the samples at the ends twice: so is its low band then.

    Args:
        factor: D.
        hop: samples of the low rate, of which audio has a multiple.
        mirrors: whether audio is mirrored beyond its ends.
        like: of the dtype that the filters are to have.
    """

    down_matrix: Tensor
    up_matrix: Tensor

    def __init__(self, factor: int, *, hop: int, mirrors: bool, like: Tensor) -> None:
        super().__init__()
        block = max(size for size in range(1, min(hop, _BLOCK) + 1) if hop % size == 0)
        seen = block + 2 * REACH
        position = factor * _positions(-REACH, block + REACH) + (factor - 1) / 2
        sample = _positions(-REACH * factor, (block + REACH) * factor)
        inside = slice(REACH, REACH + block)
        whole = slice(REACH * factor, (REACH + block) * factor)
        filters = _low_pass(sample[:, None] - position, factor)
        filters = filters / filters[:, REACH].sum()
        tables = {"down_matrix": filters[:, inside], "up_matrix": factor * filters[whole].mT}
        for name, table in tables.items():
            self.register_buffer(name, table.contiguous().to(like), persistent=False)
        self.down_frames, self.up_frames = (
            Frames(
                like.new_ones(seen * rate),
                hop=block * rate,
                side=REACH * rate,
                mirrors=mirrors,
                doubles=True,
            )
            for rate in (factor, 1)
        )

    def down(self, audio: Tensor) -> Tensor:
        """The low band, (batch, time) -> (batch, time / factor)."""
        return (self.down_frames.cut(audio) @ self.down_matrix).flatten(1)

    def up(self, low: Tensor) -> Tensor:
        """The audio of a low band, (batch, time / factor) -> (batch, time)."""
        return (self.up_frames.cut(low) @ self.up_matrix).flatten(1)


def _positions(first: int, stop: int) -> Tensor:
    return torch.arange(first, stop, dtype=torch.float64, device="cpu")


def _low_pass(distance: Tensor, factor: int) -> Tensor:
    """The filter at a distance in samples from its middle."""
    reach = (factor * (2 * REACH + 1) - 1) / 2
    inside = (1 - (distance / (reach + 0.5)).square()).clamp_min(0)
    window = torch.special.i0(_BETA * inside.sqrt()) * (distance.abs() <= reach)
    return torch.sinc(distance / factor) * window

"""Convert audio to its low band at a lower rate, and back."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.audio.frames import Frames
from waveflow.precision import Durable

REACH = 29
"""Number of low-rate samples that the filters see on each side of a sample."""

PASS = 0.9
"""Pass band of the filters, as a share of the low rate's band."""

_BETA = 8.96  # beta of Kaiser's window, for 90 dB
_BLOCK = 32  # most low-rate samples that one product computes


class Resampler(Durable):
    r"""Low-pass filter and decimation by a whole number, and the interpolation that matches it.

    Sample n of the low rate is at :math:`p_n = D n + (D - 1) / 2`, so the low-rate samples lie
    symmetrically in a clip. With Kaiser's windowed sinc :math:`h` (J. F. Kaiser, *Nonrecursive
    digital filter design using the I0-sinh window function*, 1974),

    .. math:: y_n = \sum_t h(t - p_n)\, x_t, \qquad x_t = D \sum_n h(t - p_n)\, y_n ,

    The filters pass ``PASS`` of the low rate's band and attenuate aliases into it by 90 dB. Both
    are products of overlapping blocks with one matrix. Beyond its ends audio is continued by zeros,
    or mirrored with the samples at the ends doubled; so is the low band.

    Args:
        factor: the factor D.
        hop: number of low-rate samples that the length of the audio is a multiple of.
        mirrors: whether audio is mirrored beyond its ends.
        like: tensor with the dtype of the filters.
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
    """The filter at a distance, in samples, from its centre."""
    reach = (factor * (2 * REACH + 1) - 1) / 2
    inside = (1 - (distance / (reach + 0.5)).square()).clamp_min(0)
    window = torch.special.i0(_BETA * inside.sqrt()) * (distance.abs() <= reach)
    return torch.sinc(distance / factor) * window

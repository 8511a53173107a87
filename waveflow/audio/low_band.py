"""The low band of mel consistency: its rate, frames and bands."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from waveflow.audio.bands import Bands
from waveflow.audio.frames import Frames
from waveflow.audio.mel import LogMel, MelConfig, hann_window
from waveflow.audio.resampling import PASS

EDGE = 60.0
"""Width in Hz, below the cut-off, over which the bins' share falls from 1 to 0."""

_HIGHEST = 0.83
"""Highest cut-off, as a share of the low rate's band."""


def low_bands(log_mel: LogMel, cutoff: float) -> tuple[int, Bands] | None:
    """The factor by which the rate of the low band is lower, and its bands; None if it has no band.

    The result is the largest factor with three properties; 1 has all of them. It divides the hop,
    the size of the frames, and their padding. The cut-off is at most 0.83 of the low rate's band.
    Every band that sees a bin below the cut-off lies in the pass band of the low rate's filters.

    Args:
        log_mel: front end that defines the mel.
        cutoff: frequency in Hz above which bins stay unchanged.
    """
    config = log_mel.config
    share = _share(config, log_mel.bins, cutoff)
    filters = log_mel.filters[:, : log_mel.bins]
    seeing = filters[:, share > 0].any(1).nonzero()
    if not len(seeing):
        return None
    rows = slice(int(seeing.min()), int(seeing.max()) + 1)
    bins = int(filters[rows].any(0).nonzero().max()) + 1
    factor = _factor(config, bins - 1, cutoff)
    bands = Bands(
        filters[rows, :bins].contiguous(),
        rows=rows,
        floor=config.power_floor,
        clamp=config.clamp,
        scale=factor,
        share=share[:bins],
    )
    return factor, bands


def low_frames(log_mel: LogMel, factor: int) -> Frames:
    """The frames of a front end at a lower rate; they cover the same times.

    Args:
        log_mel: front end that defines the mel.
        factor: the rate is lower by this factor.
    """
    if factor == 1:
        return log_mel.cutting
    config = log_mel.config
    return Frames(
        hann_window(config, factor).to(log_mel.window),
        hop=config.hop_length // factor,
        side=log_mel.padding // factor,
        mirrors=log_mel.reflects,
        doubles=True,
    )


def _share(config: MelConfig, bins: int, cutoff: float) -> Tensor:
    """The share of each bin: 1, then a cosine flank from ``EDGE`` below the cut-off, then 0."""
    frequency = (
        torch.arange(bins, dtype=torch.float64, device="cpu") * config.sample_rate / config.n_fft
    )
    return (1 + (math.pi * ((frequency - cutoff) / EDGE + 1).clamp(0, 1)).cos()) / 2


def _factor(config: MelConfig, highest_bin: int, cutoff: float) -> int:
    side = config.n_fft if config.center else config.n_fft - config.hop_length
    common = math.gcd(config.hop_length, config.n_fft // 2, side // 2)
    if config.n_fft % 2:
        return 1
    most = min(
        common,
        _HIGHEST * config.sample_rate / 2 / cutoff,
        PASS * config.n_fft / 2 / max(highest_bin, 1),
    )
    return max(factor for factor in range(1, max(int(most), 1) + 1) if common % factor == 0)

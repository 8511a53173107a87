"""The values of a mel convention: the form in which they are written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from waveflow.audio.mel_conventions import MelConfig


@dataclass(frozen=True)
class MelConvention:
    r"""A front end, and the form in which its values are written.

    With :math:`m` the band magnitudes of the front end, at least its clamp, a value is

    .. math:: v = \text{gain} \cdot \ln(m + \text{guard}) + \text{offset},

    cut to [low, high]. Decimal logarithms, decibels and normalisation by mean and variance are
    all of this form.

    Attributes:
        front_end: front end that measures the bands.
        gain: factor of the logarithm; one number, or one per band.
        offset: summand after the factor; one number, or one per band.
        guard: value added to the magnitude before the logarithm.
        low: smallest value; smaller ones are cut.
        high: largest value; larger ones are cut.
        frames_first: whether arrays are (frames, n_mels) instead of (n_mels, frames).
        used_by: projects that use the convention.

    Raises:
        ValueError: a number is out of range, or a tuple has not one number per band.
    """

    front_end: MelConfig
    gain: float | tuple[float, ...] = 1.0
    offset: float | tuple[float, ...] = 0.0
    guard: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    frames_first: bool = False
    used_by: str = ""

    def __post_init__(self) -> None:
        bands = self.front_end.n_mels
        for name in ("gain", "offset"):
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != bands:
                raise ValueError(f"expected one {name} or {bands} of them; got {len(value)}")
        gains = self.gain if isinstance(self.gain, tuple) else (self.gain,)
        if not all(0 < gain < math.inf for gain in gains):
            raise ValueError(f"expected every gain > 0; got {min(gains)}")
        if not self.guard >= 0 or not self.low < self.high:
            raise ValueError(
                f"expected guard >= 0 and low < high; got {self.guard}, {self.low}, {self.high}"
            )

    def normalised(
        self, mean: float | Sequence[float], deviation: float | Sequence[float]
    ) -> MelConvention:
        """This convention with values (v - mean) / deviation.

        Args:
            mean: one number, or one per band, as ESPnet, ParallelWaveGAN and Coqui store them.
            deviation: standard deviation (or scale), not variance; one number, or one per band.

        Raises:
            ValueError: the numbers do not fit the bands, or the convention cuts its values.
        """
        if (self.low, self.high) != (-math.inf, math.inf):
            raise ValueError(
                "expected a convention that does not cut its values; got one that does"
            )
        shift, scale, gain, offset = (
            torch.as_tensor(each, dtype=torch.float64, device="cpu")
            for each in (mean, deviation, self.gain, self.offset)
        )
        offset = offset - shift
        return replace(self, gain=_numbers(gain / scale), offset=_numbers(offset / scale))

    def write(self, log_mel: Tensor) -> Tensor:
        """Natural logarithms (..., n_mels, frames) -> values of this convention."""
        if self.guard:
            log_mel = (log_mel.exp() + self.guard).log()
        values = log_mel * self._column(self.gain, log_mel) + self._column(self.offset, log_mel)
        values = values.clamp(self.low, self.high)
        return values.mT if self.frames_first else values

    def read(self, values: Tensor) -> Tensor:
        """Undo :meth:`write`: values -> natural logarithms (..., n_mels, frames).

        Raises:
            ValueError: ``values`` is not a mel of this convention.
        """
        bands = self.front_end.n_mels
        axis = -1 if self.frames_first else -2
        fits = isinstance(values, Tensor) and values.is_floating_point() and values.dim() in (2, 3)
        if not fits or values.shape[axis] != bands:
            layout = f"frames, {bands}" if self.frames_first else f"{bands}, frames"
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise ValueError(
                f"mel: expected a floating-point tensor (batch, {layout}) or ({layout}); got {got}"
            )
        if self.frames_first:
            values = values.mT
        log_mel = (values - self._column(self.offset, values)) / self._column(self.gain, values)
        if self.guard:
            log_mel = (log_mel.exp() - self.guard).clamp_min(self.front_end.clamp).log()
        return log_mel

    def floor(self) -> float:
        """The natural logarithm below which values carry no information: the highest floor."""
        config = self.front_end
        lowest = [config.clamp, self.guard, config.power_floor**0.5 * widest_band(config)]
        return max(math.log(max(lowest)), float(self._ends(self.low).max()))

    def ceiling(self) -> float:
        """The natural logarithm above which values are cut."""
        return float(self._ends(self.high).min())

    def _ends(self, value: float) -> Tensor:
        gain, offset = (
            torch.tensor(each, dtype=torch.float64, device="cpu")
            for each in (self.gain, self.offset)
        )
        return (value - offset) / gain

    def _column(self, numbers: float | tuple[float, ...], like: Tensor) -> Tensor:
        """The numbers as a tensor, (1, 1) or (n_mels, 1), on the device of ``like``."""
        return torch.tensor(numbers, dtype=like.dtype, device=like.device).reshape(-1, 1)


@cache
def widest_band(config: MelConfig) -> float:
    """The largest sum of the weights of a band."""
    return float(config.filters().float().sum(1).max())


def _numbers(values: Tensor) -> float | tuple[float, ...]:
    return tuple(values.tolist()) if values.dim() else float(values)

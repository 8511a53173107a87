"""The changes of frames by mel consistency, in reused memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.consistency import Step
from waveflow.streaming.products import padding_rows
from waveflow.streaming.rows import NO_ROWS

_BINS = 128  # bins of a part; the fastest number measured


class FrameChange:
    """The change of windowed frames by an iteration: ``Step.change`` in place, with the same bits
    of a frame for any number of frames.

    A filter covers few bins, so the products with the filters are computed in parts, without most
    of the zeros.

    Args:
        step: The arithmetic of an iteration.
        exact: Whether small gains keep their relative precision; otherwise their error is up to
            2^-24 of the spectrum, which takes a tenth of the time.
    """

    def __init__(self, step: Step, *, exact: bool = True):
        bands = step.bands
        self._exact = exact
        self._size, self._bins, self._rows = step.frames.size, bands.bins, bands.rows
        self._floor, self._clamp = bands.floor, bands.clamp
        parts = torch.arange(self._bins, device="cpu").tensor_split(-(-self._bins // _BINS))
        self._parts = [_Part.of(bands.filters, bands.weights, bins) for bins in parts]

    def begin(self) -> Callable[[Tensor, Tensor], Tensor]:
        """A function (frames, n_fft), (frames, n_mels) -> (frames, n_fft), which reuses its
        memory.
        """
        bands = gain = NO_ROWS

        def change(frames: Tensor, mel: Tensor) -> Tensor:
            nonlocal bands, gain
            count = len(frames)
            if not count:
                return frames
            mel = mel[:, self._rows]
            padding = padding_rows(frames)
            if padding:
                frames, mel = (functional.pad(rows, (0, 0, 0, padding)) for rows in (frames, mel))
            if len(bands) != len(frames):
                bands = mel.new_empty(mel.shape)
                gain = mel.new_empty(len(frames), self._bins)
            spectrum = torch.fft.rfft(frames)
            self._read_bands(spectrum, gain, bands)
            torch.sub(mel, bands, out=bands)
            for part in self._parts:
                torch.mm(bands[:, part.bands], part.weights, out=gain[:, part.bins])
            seen, unseen = spectrum[:, : self._bins], spectrum[:, self._bins :]
            seen.mul_(gain.expm1_() if self._exact else gain.exp_().sub_(1))
            unseen.zero_()
            return torch.fft.irfft(spectrum, self._size)[:count]

        return change

    def _read_bands(self, spectrum: Tensor, magnitude: Tensor, bands: Tensor) -> None:
        """``LogMel.bands`` of (frames, 1 + n_fft / 2) into (frames, n_mels)."""
        real, imaginary = spectrum.real[:, : self._bins], spectrum.imag[:, : self._bins]
        torch.mul(real, real, out=magnitude).addcmul_(imaginary, imaginary)
        magnitude.add_(self._floor).sqrt_()
        if len(self._parts) == 1 and self._parts[0].filters.shape[1] == bands.shape[1]:
            torch.mm(magnitude, self._parts[0].filters, out=bands)
        else:
            bands.zero_()
            for part in self._parts:
                into = bands[:, part.bands]
                torch.addmm(into, magnitude[:, part.bins], part.filters, out=into)
        bands.clamp_min_(self._clamp).log_()


class _Part(NamedTuple):
    """Some bins and the bands that cover them."""

    bins: slice
    bands: slice
    filters: Tensor
    weights: Tensor

    @classmethod
    def of(cls, filters: Tensor, weights: Tensor, numbers: Tensor) -> _Part:
        """The part for some bins.

        Args:
            filters: The filters of all bands, (n_mels, bins).
            weights: The weights of all bands, (n_mels, bins).
            numbers: The numbers of the bins.
        """
        bins = slice(int(numbers[0]), int(numbers[-1]) + 1)
        covering = filters[:, bins].any(1).nonzero()
        bounds = (int(covering.min()), int(covering.max()) + 1) if len(covering) else (0, 0)
        bands = slice(*bounds)
        return cls(
            bins,
            bands,
            filters[bands, bins].T.contiguous(),
            weights[bands, bins].contiguous(),
        )

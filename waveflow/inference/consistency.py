"""Mel consistency on audio that comes in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.consistency import MOMENTUM, MelConsistency
from waveflow.inference.framing import Framing
from waveflow.inference.products import missing_rows
from waveflow.inference.rows import Line, Push, Queue


class StreamedConsistency:
    """The iterations of a :class:`waveflow.audio.MelConsistency`, one behind the other.

    Args:
        consistency: the iterations' mathematics.
    """

    def __init__(self, consistency: MelConsistency):
        self._change = Change(consistency)
        self._iteration = Iteration(Framing(consistency.log_mel))

    def begin(self, mel: Line, count: int) -> Push:
        """A fresh start of ``count`` iterations, audio (samples,) -> audio; ``mel`` is where rows
        (frames, n_mels) are.
        """
        change = self._change.begin()
        iterations = [self._iteration.begin(mel, change) for _ in range(count)]

        def push(audio: Tensor, last: bool) -> Tensor:
            carried_on = audio
            for iteration in iterations:
                before, audio = iteration(carried_on, audio, last)
                carried_on = torch.lerp(before, audio, 1 + MOMENTUM)
            return audio

        return push

    def ready(self, samples: int, count: int) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        for _ in range(count):
            samples = self._iteration.ready(samples)
        return samples

    def needs(self, sample: int, count: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        for _ in range(count):
            sample = self._iteration.needs(sample)
        return sample


class Iteration:
    """One iteration: frames are cut as soon as their samples have come, changed, and overlapped.

    Args:
        framing: how frames are cut.
    """

    def __init__(self, framing: Framing):
        self._framing = framing

    def begin(
        self, mel: Line, change: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]:
        """Push (audio carried on, audio as it is, last), both (samples,); get the latter as far as
        it is done, and what has become of it.
        """
        reader = mel.reader()
        waiting, carried = Queue(), Queue()
        cut, overlap = self._framing.begin_cutting(), self._framing.begin_overlap()

        def push(audio: Tensor, before: Tensor, last: bool) -> tuple[Tensor, Tensor]:
            waiting.push(before)
            carried.push(audio)
            frames = cut(audio, last)
            added = overlap(change(frames, reader.take(len(frames))), last)
            return waiting.take(len(added)), carried.take(len(added)) + added

        return push

    def ready(self, samples: int) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        return self._framing.samples_ready(self._framing.frames_ready(samples))

    def needs(self, sample: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        return self._framing.needs(sample)


class Change:
    """What an iteration adds to windowed frames: ``MelConsistency.change`` in place, each frame the
    same bits however many there are.

    A filter sees few bins, so the products with the filters are taken in parts that leave out most
    of the zeros.

    Args:
        consistency: the iterations' mathematics.
        parts: how many; measured.
    """

    def __init__(self, consistency: MelConsistency, parts: int = 3):
        log_mel = consistency.log_mel
        self._size, self._bins = log_mel.config.n_fft, log_mel.bins
        self._floor, self._clamp = log_mel.config.power_floor, log_mel.config.clamp
        filters = log_mel.filters[:, : self._bins]
        self._parts = [
            _Part.of(filters, consistency.weights, bins)
            for bins in torch.arange(self._bins).tensor_split(parts)
            if len(bins)
        ]
        self._like = filters

    def begin(self) -> Callable[[Tensor, Tensor], Tensor]:
        """(frames, n_fft), (frames, n_mels) -> (frames, n_fft), in memory that is used again."""
        bands, gain = self._like[:0], self._like[:0]

        def change(frames: Tensor, mel: Tensor) -> Tensor:
            nonlocal bands, gain
            count = len(frames)
            if not count:
                return frames
            missing = missing_rows(count)
            if missing:
                frames, mel = (functional.pad(rows, (0, 0, 0, missing)) for rows in (frames, mel))
            if len(bands) != len(frames):
                bands = torch.empty_like(mel)
                gain = mel.new_empty(len(frames), self._bins)
            spectrum = torch.fft.rfft(frames)
            self._read_bands(spectrum, gain, bands)
            torch.sub(mel, bands, out=bands)
            for part in self._parts:
                torch.mm(bands[:, part.bands], part.weights, out=gain[:, part.bins])
            spectrum[:, : self._bins] *= gain.expm1_()
            spectrum[:, self._bins :] = 0
            return torch.fft.irfft(spectrum, self._size)[:count]

        return change

    def _read_bands(self, spectrum: Tensor, magnitude: Tensor, bands: Tensor) -> None:
        """``LogMel.bands`` of (frames, 1 + n_fft / 2) into (frames, n_mels)."""
        real, imaginary = spectrum.real[:, : self._bins], spectrum.imag[:, : self._bins]
        torch.mul(real, real, out=magnitude).addcmul_(imaginary, imaginary)
        magnitude.add_(self._floor).sqrt_()
        bands.zero_()
        for part in self._parts:
            into = bands[:, part.bands]
            torch.addmm(into, magnitude[:, part.bins], part.filters, out=into)
        bands.clamp_min_(self._clamp).log_()


class _Part(NamedTuple):
    """Some bins and the bands that see them."""

    bins: slice
    bands: slice
    filters: Tensor
    weights: Tensor

    @classmethod
    def of(cls, filters: Tensor, weights: Tensor, numbers: Tensor) -> _Part:
        """The part of those bins, given filters and weights (n_mels, bins)."""
        bins = slice(int(numbers[0]), int(numbers[-1]) + 1)
        seeing = filters[:, bins].any(1).nonzero()
        bands = slice(int(seeing.min()), int(seeing.max()) + 1) if len(seeing) else slice(0, 0)
        return cls(
            bins,
            bands,
            filters[bands, bins].T.contiguous(),
            weights[bands, bins].contiguous(),
        )

"""Mel consistency of streamed audio."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from waveflow.audio.consistency import MOMENTUM, LowBand, MelConsistency, Step
from waveflow.audio.frames import Frames
from waveflow.inference.band_gains import FrameChange
from waveflow.inference.framing import Framing
from waveflow.inference.resampling import StreamedResampler
from waveflow.streaming.rows import DelayLine, PushFunction, SharedBuffer

Schedule = tuple[int, int]
"""Number of iterations that change all bins, and of those after them that change the low band."""


class StreamedConsistency:
    """The iterations of a :class:`waveflow.audio.MelConsistency`, one after another.

    Args:
        consistency: The module whose iterations are streamed.
    """

    def __init__(self, consistency: MelConsistency):
        self._whole = Iterations(consistency.whole)
        self._low = None if consistency.low is None else StreamedLowBand(consistency.low)

    def begin(self, mel: SharedBuffer, schedule: Schedule) -> PushFunction:
        """Start a signal, audio (samples,) -> audio, with rows (frames, n_mels) of ``mel``."""
        full, rest = schedule
        whole = self._whole.begin(mel, full)
        if not rest or self._low is None:
            return whole
        low = self._low.begin(mel, rest)
        return lambda audio, last: low(whole(audio, last), last)

    def outputs_after(self, samples: int, schedule: Schedule) -> int:
        """Number of samples of output after ``samples`` of input, if more will follow."""
        full, rest = schedule
        samples = self._whole.outputs_after(samples, full)
        if not rest or self._low is None:
            return samples
        return self._low.outputs_after(samples, rest)

    def first_input_of(self, sample: int, schedule: Schedule) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        full, rest = schedule
        if rest and self._low is not None:
            sample = self._low.first_input_of(sample, rest)
        return self._whole.first_input_of(sample, full)


class StreamedLowBand:
    """The iterations of a :class:`waveflow.audio.consistency.LowBand`.

    Args:
        low_band: The module whose iterations are streamed.
    """

    def __init__(self, low_band: LowBand):
        self._iterations = Iterations(low_band.step, exact=False)
        resampler = low_band.resampler
        self._resampler = None if resampler is None else StreamedResampler(resampler)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """Start a signal with ``count`` iterations, audio (samples,) -> audio."""
        iterate = self._iterations.begin(mel, count)
        if self._resampler is None:
            return iterate
        down, up = self._resampler.down.begin(), self._resampler.up.begin()
        waiting, before = DelayLine(), DelayLine()

        def push(audio: Tensor, last: bool) -> Tensor:
            waiting.push(audio)
            low = down(audio, last)
            before.push(low)
            low = iterate(low, last)
            added = up(low - before.take(len(low)), last)
            return waiting.take(len(added)) + added

        return push

    def outputs_after(self, samples: int, count: int) -> int:
        """Number of samples of output after ``samples`` of input, if more will follow."""
        if self._resampler is None:
            return self._iterations.outputs_after(samples, count)
        samples = self._resampler.down.outputs_after(samples)
        return self._resampler.up.outputs_after(self._iterations.outputs_after(samples, count))

    def first_input_of(self, sample: int, count: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        if self._resampler is None:
            return self._iterations.first_input_of(sample, count)
        # the change depends on more samples on both sides than the sample itself
        first = self._iterations.first_input_of(self._resampler.up.first_input_of(sample), count)
        return self._resampler.down.first_input_of(first)


class Iterations:
    """Iterations at one sample rate, one after another.

    Args:
        step: The arithmetic of an iteration.
        exact: The precision of small gains; see
            :class:`waveflow.inference.band_gains.FrameChange`.
    """

    def __init__(self, step: Step, *, exact: bool = True):
        self._change = FrameChange(step, exact=exact)
        self._iteration = Iteration(step.frames)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """Start a signal with ``count`` iterations, audio (samples,) -> audio; rows
        (frames, n_mels) are read from ``mel``.
        """
        change, first = self._change.begin(), SharedBuffer()
        iterations = [self._iteration.begin(mel, first, change) for _ in range(count)]

        def push(audio: Tensor, last: bool) -> Tensor:
            first.push(audio)
            extrapolated = audio
            for iteration in iterations:
                before, audio = iteration(extrapolated, audio, last)
                extrapolated = torch.lerp(before, audio, 1 + MOMENTUM)
            return audio

        return push

    def outputs_after(self, samples: int, count: int) -> int:
        """Number of samples of output after ``samples`` of input, if more will follow."""
        for _ in range(count):
            samples = self._iteration.outputs_after(samples)
        return samples

    def first_input_of(self, sample: int, count: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        for _ in range(count):
            sample = self._iteration.first_input_of(sample)
        return sample


class Iteration:
    """One iteration: frames are cut as soon as their samples exist, changed, and overlap-added.

    Args:
        frames: The frames of the audio.
    """

    def __init__(self, frames: Frames):
        self._framing, self._window = Framing(frames), frames.window

    def begin(
        self, mel: SharedBuffer, first: SharedBuffer, change: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]:
        """Start a signal: the result pushes (extrapolated audio, audio, last), both (samples,), and
        returns the audio before and after the iteration, as far as it is determined.

        Args:
            mel: The buffer of the mel's rows, (frames, n_mels).
            first: The buffer of the audio before the first iteration, (samples,).
            change: The change of windowed frames.
        """
        reader, origin = mel.reader(), first.reader()
        waiting, extrapolated = DelayLine(), DelayLine()
        cut, overlap = self._framing.begin_cutting(), self._framing.begin_overlap()

        def push(audio: Tensor, before: Tensor, last: bool) -> tuple[Tensor, Tensor]:
            waiting.push(before)
            extrapolated.push(audio)
            frames = cut(audio, last) * self._window
            added, hold = overlap(change(frames, reader.take(len(frames))), last)
            moved, held = extrapolated.take(len(added)) + added, origin.take(len(added))
            moved = moved if hold is None else torch.lerp(moved, held, hold)
            return waiting.take(len(added)), moved

        return push

    def outputs_after(self, samples: int) -> int:
        """Number of samples of output after ``samples`` of input, if more will follow."""
        return self._framing.samples_after(self._framing.frames_after(samples))

    def first_input_of(self, sample: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        return self._framing.first_input_of(sample)

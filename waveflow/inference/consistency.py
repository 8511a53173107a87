"""Mel consistency on audio that comes in pieces."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from waveflow.audio.consistency import MOMENTUM, LowBand, MelConsistency, Step
from waveflow.audio.frames import Frames
from waveflow.inference.band_gains import Change
from waveflow.inference.framing import Framing
from waveflow.inference.resampling import StreamedResampler
from waveflow.streaming.rows import DelayLine, PushFunction, SharedBuffer

Schedule = tuple[int, int]
"""How many iterations move all bins, and how many after them the low band alone."""


class StreamedConsistency:
    """The iterations of a :class:`waveflow.audio.MelConsistency`, one behind the other.

    Args:
        consistency: the iterations' mathematics.
    """

    def __init__(self, consistency: MelConsistency):
        self._whole = Iterations(consistency.whole)
        self._low = None if consistency.low is None else StreamedLowBand(consistency.low)

    def begin(self, mel: SharedBuffer, schedule: Schedule) -> PushFunction:
        """A fresh start, audio (samples,) -> audio; ``mel`` is where rows (frames, n_mels) are."""
        full, rest = schedule
        whole = self._whole.begin(mel, full)
        if not rest or self._low is None:
            return whole
        low = self._low.begin(mel, rest)
        return lambda audio, last: low(whole(audio, last), last)

    def outputs_after(self, samples: int, schedule: Schedule) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
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
        low_band: the iterations' mathematics.
    """

    def __init__(self, low_band: LowBand):
        self._iterations = Iterations(low_band.step, exact=False)
        resampler = low_band.resampler
        self._resampler = None if resampler is None else StreamedResampler(resampler)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """A fresh start of ``count`` iterations, audio (samples,) -> audio."""
        iterate = self._iterations.begin(mel, count)
        if self._resampler is None:
            return iterate
        down, up = self._resampler.begin_down(), self._resampler.begin_up()
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
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        if self._resampler is None:
            return self._iterations.outputs_after(samples, count)
        samples = self._resampler.down_ready(samples)
        return self._resampler.up_ready(self._iterations.outputs_after(samples, count))

    def first_input_of(self, sample: int, count: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        if self._resampler is None:
            return self._iterations.first_input_of(sample, count)
        # of the change, which sees further to both sides than the sample itself
        first = self._iterations.first_input_of(self._resampler.up_needs(sample), count)
        return self._resampler.down_needs(first)


class Iterations:
    """Iterations at one rate, one behind the other.

    Args:
        step: their mathematics.
        exact: as :class:`waveflow.inference.band_gains.Change` understands it.
    """

    def __init__(self, step: Step, *, exact: bool = True):
        self._change = Change(step, exact=exact)
        self._iteration = Iteration(step.frames)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """A fresh start of ``count`` iterations, audio (samples,) -> audio; ``mel`` is where rows
        (frames, n_mels) are.
        """
        change, first = self._change.begin(), SharedBuffer()
        iterations = [self._iteration.begin(mel, first, change) for _ in range(count)]

        def push(audio: Tensor, last: bool) -> Tensor:
            first.push(audio)
            carried_on = audio
            for iteration in iterations:
                before, audio = iteration(carried_on, audio, last)
                carried_on = torch.lerp(before, audio, 1 + MOMENTUM)
            return audio

        return push

    def outputs_after(self, samples: int, count: int) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        for _ in range(count):
            samples = self._iteration.outputs_after(samples)
        return samples

    def first_input_of(self, sample: int, count: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        for _ in range(count):
            sample = self._iteration.first_input_of(sample)
        return sample


class Iteration:
    """One iteration: frames are cut as soon as their samples have come, changed, and overlapped.

    Args:
        frames: how audio is cut.
    """

    def __init__(self, frames: Frames):
        self._framing, self._window = Framing(frames), frames.window

    def begin(
        self, mel: SharedBuffer, first: SharedBuffer, change: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]:
        """Push (audio carried on, audio as it is, last), both (samples,); get the latter as far as
        it is done, and what has become of it. The audio at first is in ``first``.
        """
        reader, origin = mel.reader(), first.reader()
        waiting, carried = DelayLine(), DelayLine()
        cut, overlap = self._framing.begin_cutting(), self._framing.begin_overlap()

        def push(audio: Tensor, before: Tensor, last: bool) -> tuple[Tensor, Tensor]:
            waiting.push(before)
            carried.push(audio)
            frames = cut(audio, last) * self._window
            added, hold = overlap(change(frames, reader.take(len(frames))), last)
            moved, held = carried.take(len(added)) + added, origin.take(len(added))
            moved = moved if hold is None else torch.lerp(moved, held, hold)
            return waiting.take(len(added)), moved

        return push

    def outputs_after(self, samples: int) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        return self._framing.samples_after(self._framing.frames_after(samples))

    def first_input_of(self, sample: int) -> int:
        """The first sample of the audio that a sample depends on, far from the start."""
        return self._framing.first_input_of(sample)

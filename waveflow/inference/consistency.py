"""Mel consistency of streamed audio."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from waveflow.audio.consistency import MOMENTUM, MelConsistency, Step
from waveflow.audio.resampling import Resampler
from waveflow.inference.band_gains import FrameChange
from waveflow.inference.framing import Framing
from waveflow.inference.resampling import BlockFilter
from waveflow.streaming.rows import DelayLine, PushFunction, Reach, SequentialReach, SharedBuffer

Schedule = tuple[int, int]
"""Number of iterations that change all bins, and of those after them that change the low band."""


class StreamedConsistency:
    """The iterations of a :class:`waveflow.audio.MelConsistency`, one after another.

    Args:
        consistency: The module whose iterations are streamed.
    """

    def __init__(self, consistency: MelConsistency):
        self._whole = Iterations(consistency.whole)
        self._low: Iterations | StreamedLowBand | None = None
        if (low := consistency.low) is not None:
            self._low = iterations = Iterations(low.step, exact=False)
            if low.resampler is not None:
                self._low = StreamedLowBand(iterations, low.resampler)

    def begin(self, mel: SharedBuffer, schedule: Schedule) -> PushFunction:
        """Start a signal, audio (samples,) -> audio, with rows (frames, n_mels) of ``mel``."""
        full, rest = schedule
        whole = self._whole.begin(mel, full)
        if not rest or self._low is None:
            return whole
        low = self._low.begin(mel, rest)
        return lambda audio, last: low(whole(audio, last), last)

    def reach(self, schedule: Schedule) -> SequentialReach:
        """What a sample depends on."""
        full, rest = schedule
        low = self._low.parts(rest) if rest and self._low is not None else []
        return SequentialReach([*self._whole.parts(full), *low])


class StreamedLowBand:
    """The iterations of a :class:`waveflow.audio.consistency.LowBand` at a lower rate.

    Args:
        iterations: The iterations at the lower rate.
        resampler: The filters between the rates.
    """

    def __init__(self, iterations: Iterations, resampler: Resampler):
        self._iterations = iterations
        self._down = BlockFilter(resampler.down_frames, resampler.down_matrix)
        self._up = BlockFilter(resampler.up_frames, resampler.up_matrix)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """Start a signal with ``count`` iterations, audio (samples,) -> audio."""
        iterate = self._iterations.begin(mel, count)
        down, up = self._down.begin(), self._up.begin()
        waiting, before = DelayLine(), DelayLine()

        def push(audio: Tensor, last: bool) -> Tensor:
            waiting.push(audio)
            low = down(audio, last)
            before.push(low)
            low = iterate(low, last)
            added = up(low - before.take(len(low)), last)
            return waiting.take(len(added)) + added

        return push

    def parts(self, count: int) -> list[Reach]:
        """What a change of the audio passes through; it depends on more samples on both sides than
        the sample that is changed.
        """
        return [self._down, *self._iterations.parts(count), self._up]


class Iterations:
    """Iterations at one sample rate, one after another.

    Args:
        step: The arithmetic of an iteration.
        exact: The precision of small gains; see
            :class:`waveflow.inference.band_gains.FrameChange`.
    """

    def __init__(self, step: Step, *, exact: bool = True):
        self._framing, self._window = Framing(step.frames), step.frames.window
        self._change = FrameChange(step, exact=exact)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """Start a signal with ``count`` iterations, audio (samples,) -> audio; rows
        (frames, n_mels) are read from ``mel``.
        """
        change, first = self._change.begin(), SharedBuffer()
        iterations = [self._begin_one(mel, first, change) for _ in range(count)]

        def push(audio: Tensor, last: bool) -> Tensor:
            first.push(audio)
            extrapolated = audio
            for iteration in iterations:
                before, audio = iteration(extrapolated, audio, last)
                extrapolated = torch.lerp(before, audio, 1 + MOMENTUM)
            return audio

        return push

    def parts(self, count: int) -> list[Reach]:
        """What the audio passes through in ``count`` iterations."""
        return [self._framing] * count

    def _begin_one(
        self, mel: SharedBuffer, first: SharedBuffer, change: Callable[[Tensor, Tensor], Tensor]
    ) -> Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]:
        """One iteration: frames are cut as soon as their samples exist, changed, and overlap-added.

        The result pushes (extrapolated audio, audio, last), both (samples,), and returns the audio
        before and after the iteration, as far as it is determined.

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

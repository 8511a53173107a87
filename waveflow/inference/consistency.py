"""Mel consistency of streamed audio."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from waveflow.audio.consistency import MOMENTUM, LowBand, MelConsistency, Step
from waveflow.inference.band_gains import FrameChange
from waveflow.inference.framing import Framing
from waveflow.inference.resampling import BlockFilter
from waveflow.streaming.rows import DelayLine, Path, PushFunction, Reach, SharedBuffer

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

    def reach(self, schedule: Schedule) -> Path:
        """What a sample depends on."""
        full, rest = schedule
        low = self._low.parts(rest) if rest and self._low is not None else []
        return Path([*[self._whole.framing] * full, *low])


class StreamedLowBand:
    """The iterations of a :class:`waveflow.audio.consistency.LowBand`.

    Args:
        low_band: The module whose iterations are streamed.
    """

    def __init__(self, low_band: LowBand):
        self._iterations = Iterations(low_band.step, exact=False)
        self._filters: tuple[BlockFilter, BlockFilter] | None = None
        if (rates := low_band.resampler) is not None:
            down = BlockFilter(rates.down_frames, rates.down_matrix)
            self._filters = down, BlockFilter(rates.up_frames, rates.up_matrix)

    def begin(self, mel: SharedBuffer, count: int) -> PushFunction:
        """Start a signal with ``count`` iterations, audio (samples,) -> audio."""
        iterate = self._iterations.begin(mel, count)
        if self._filters is None:
            return iterate
        down, up = (each.begin() for each in self._filters)
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
        iterations: list[Reach] = [self._iterations.framing] * count
        if self._filters is None:
            return iterations
        down, up = self._filters
        return [down, *iterations, up]


class Iterations:
    """Iterations at one sample rate, one after another.

    Args:
        step: The arithmetic of an iteration.
        exact: The precision of small gains; see
            :class:`waveflow.inference.band_gains.FrameChange`.

    Attributes:
        framing: The frames of the audio; the reach of an iteration.
    """

    def __init__(self, step: Step, *, exact: bool = True):
        self.framing, self._window = Framing(step.frames), step.frames.window
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
        cut, overlap = self.framing.begin_cutting(), self.framing.begin_overlap()

        def push(audio: Tensor, before: Tensor, last: bool) -> tuple[Tensor, Tensor]:
            waiting.push(before)
            extrapolated.push(audio)
            frames = cut(audio, last) * self._window
            added, hold = overlap(change(frames, reader.take(len(frames))), last)
            moved, held = extrapolated.take(len(added)) + added, origin.take(len(added))
            moved = moved if hold is None else torch.lerp(moved, held, hold)
            return waiting.take(len(added)), moved

        return push

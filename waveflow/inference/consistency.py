"""Mel consistency on audio that comes in pieces."""

from __future__ import annotations

from collections.abc import Callable

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
        iterations: how many.
    """

    def __init__(self, consistency: MelConsistency, iterations: int):
        self._iteration = Iteration(consistency)
        self._count = iterations

    def begin(self, mel: Line) -> Push:
        """A fresh start, audio (samples,) -> audio; ``mel`` is where rows (frames, n_mels) are."""
        iterations = [self._iteration.begin(mel) for _ in range(self._count)]

        def push(audio: Tensor, last: bool) -> Tensor:
            carried_on = audio
            for iteration in iterations:
                before, audio = iteration(carried_on, audio, last)
                carried_on = torch.lerp(before, audio, 1 + MOMENTUM)
            return audio

        return push

    def ready(self, samples: int) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        for _ in range(self._count):
            samples = self._iteration.ready(samples)
        return samples


class Iteration:
    """One iteration: frames are cut as soon as their samples have come, changed, and overlapped.

    Args:
        consistency: the iterations' mathematics.
    """

    def __init__(self, consistency: MelConsistency):
        self._consistency = consistency
        self._framing = Framing(consistency.log_mel)

    def begin(self, mel: Line) -> Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]:
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
            change = overlap(self._change(frames, reader.take(len(frames))), last)
            return waiting.take(len(change)), carried.take(len(change)).add(change)

        return push

    def _change(self, frames: Tensor, mel: Tensor) -> Tensor:
        """(frames, n_fft), (frames, n_mels) -> (frames, n_fft); each frame by itself."""
        count = len(frames)
        if not count:
            return frames
        missing = missing_rows(count)
        if missing:
            frames, mel = (functional.pad(rows, (0, 0, 0, missing)) for rows in (frames, mel))
        return self._consistency.change(torch.fft.rfft(frames), mel)[:count]

    def ready(self, samples: int) -> int:
        """How many samples have come out when ``samples`` have gone in, and more will follow."""
        return self._framing.samples_ready(self._framing.frames_ready(samples))

"""Audio that comes in pieces to its low band, and back."""

from __future__ import annotations

from torch import Tensor

from waveflow.audio.resampling import Resampler
from waveflow.inference.framing import Framing
from waveflow.streaming.products import product
from waveflow.streaming.rows import PushFunction


class StreamedResampler:
    """What a :class:`waveflow.audio.resampling.Resampler` does, in blocks as they come.

    Args:
        resampler: the filters.
    """

    def __init__(self, resampler: Resampler):
        self._down = _Blocks(Framing(resampler.down_frames), resampler.down_matrix)
        self._up = _Blocks(Framing(resampler.up_frames), resampler.up_matrix)

    def begin_down(self) -> PushFunction:
        """A fresh start: audio (samples,) -> its low band (samples,)."""
        return self._down.begin()

    def begin_up(self) -> PushFunction:
        """A fresh start: a low band (samples,) -> its audio (samples,)."""
        return self._up.begin()

    def down_ready(self, samples: int) -> int:
        """How much of the low band has come when ``samples`` of audio have, and more will."""
        return self._down.outputs_after(samples)

    def up_ready(self, samples: int) -> int:
        """How much audio has come when ``samples`` of the low band have, and more will."""
        return self._up.outputs_after(samples)

    def down_needs(self, sample: int) -> int:
        """The first sample of audio that a sample of the low band depends on."""
        return self._down.first_input_of(sample)

    def up_needs(self, sample: int) -> int:
        """The first sample of the low band that a sample of audio depends on."""
        return self._up.first_input_of(sample)


class _Blocks:
    """Overlapping blocks of samples, each turned into other samples by one matrix.

    Args:
        framing: how blocks are cut.
        matrix: (samples of a block, samples it becomes).
    """

    def __init__(self, framing: Framing, matrix: Tensor):
        self._framing, self._matrix = framing, matrix
        self._made = matrix.shape[1]

    def begin(self) -> PushFunction:
        cut, zeros = self._framing.begin_cutting(), self._matrix.new_zeros(self._made)

        def push(samples: Tensor, last: bool) -> Tensor:
            return product(zeros, cut(samples, last), self._matrix).view(-1)

        return push

    def outputs_after(self, samples: int) -> int:
        return self._framing.frames_after(samples) * self._made

    def first_input_of(self, sample: int) -> int:
        return self._framing.frame_start(sample // self._made)

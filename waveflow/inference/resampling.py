"""Streamed audio to its low band, and back."""

from __future__ import annotations

from torch import Tensor

from waveflow.audio.frames import Frames
from waveflow.inference.framing import Framing
from waveflow.streaming.products import product
from waveflow.streaming.rows import PushFunction


class BlockFilter:
    """One direction of a :class:`waveflow.audio.resampling.Resampler`: a map of overlapping blocks
    of samples, each to a block of output, by one matrix.

    Args:
        blocks: The blocks of the input.
        matrix: The matrix, (samples of a block of input, samples of a block of output).
    """

    def __init__(self, blocks: Frames, matrix: Tensor):
        self._framing, self._matrix = Framing(blocks), matrix
        self._size = matrix.shape[1]

    def begin(self) -> PushFunction:
        """Start a signal."""
        cut, zeros = self._framing.begin_cutting(), self._matrix.new_zeros(self._size)

        def push(samples: Tensor, last: bool) -> Tensor:
            return product(zeros, cut(samples, last), self._matrix).view(-1)

        return push

    def outputs_after(self, samples: int) -> int:
        """Number of samples of output after ``samples`` of input, if more will follow."""
        return self._framing.frames_after(samples) * self._size

    def first_input_of(self, sample: int) -> int:
        """The first sample of the input that a sample of the output depends on."""
        return self._framing.frame_start(sample // self._size)

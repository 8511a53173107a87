"""A recursion over blocks of samples as a stage."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from waveflow.streaming.rows import PushFunction, SharedBuffer, joined


class BlockRecursionStage:
    """Whole blocks of samples, each computed from those before it, (samples,) -> (samples,).

    Its state is the last few hundred samples.

    Args:
        read: The network of rows of the context, (frames, channels) -> (frames, blocks * n).
        blocks: Number of blocks in a frame.
        block: Number of samples in a block.
        advance: The recursion: samples (1, time), parameters (1, blocks, n) and past
            (1, memory) -> (1, time).
        silence: The past of the first sample, (memory,).
    """

    def __init__(
        self,
        read: Callable[[Tensor], Tensor],
        blocks: int,
        block: int,
        advance: Callable[[Tensor, Tensor, Tensor], Tensor],
        silence: Tensor,
    ):
        self._read, self._blocks, self._block = read, blocks, block
        self._advance, self._silence = advance, silence

    def begin(self, context: SharedBuffer) -> PushFunction:
        reader = context.reader(self._blocks)
        past, held = self._silence, self._silence[:0]

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal past, held
            samples = joined(held, samples)
            count = len(samples) // self._block
            whole, held = samples[: count * self._block], samples[count * self._block :]
            if not count:
                return whole
            parameters = reader.take_apart(count, self._read)
            audio = self._advance(whole[None], parameters[None], past[None])[0]
            past = torch.cat([past, audio])[-len(past) :]
            return audio

        return push

    def outputs_after(self, steps: int) -> int:
        return steps // self._block * self._block

    def first_input_of(self, step: int) -> int:
        return 0  # a recursion depends on all earlier samples

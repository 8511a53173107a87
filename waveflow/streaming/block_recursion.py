"""A recursion over blocks of samples as a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.streaming.lapping import SqueezeStage
from waveflow.streaming.rows import PushFunction, SharedBuffer


@dataclass(frozen=True)
class BlockRecursionStage:
    """Whole blocks of samples, each computed from those before it, (samples,) -> (samples,).

    Its state is the last few hundred samples.

    Attributes:
        read: The network of rows of the context, (frames, channels) -> (frames, blocks * n).
        blocks: Number of blocks in a frame.
        block: Number of samples in a block.
        advance: The recursion: samples (1, time), parameters (1, blocks, n) and past
            (1, memory) -> (1, time).
        silence: The past of the first sample, (memory,).
    """

    read: Callable[[Tensor], Tensor]
    blocks: int
    block: int
    advance: Callable[[Tensor, Tensor, Tensor], Tensor]
    silence: Tensor

    def begin(self, context: SharedBuffer) -> PushFunction:
        reader = context.reader(self.blocks)
        squeeze, past = SqueezeStage(self.block).begin(context), self.silence

        def push(samples: Tensor, last: bool) -> Tensor:
            nonlocal past
            blocks = squeeze(samples, last)
            if not len(blocks):
                return blocks.flatten()
            parameters = reader.take_apart(len(blocks), self.read)
            audio = self.advance(blocks.view(1, -1), parameters[None], past[None])[0]
            past = torch.cat([past, audio])[-len(past) :]
            return audio

        return push

    def outputs_after(self, steps: int) -> int:
        return steps // self.block * self.block

    def first_input_of(self, step: int) -> int:
        return 0  # a recursion depends on all earlier samples

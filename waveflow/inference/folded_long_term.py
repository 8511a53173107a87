"""The long-term predictor for tracing: a scan over blocks in place of a Python loop."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan

from waveflow.bijections import LongTermPredictor


class FoldedLongTerm(LongTermPredictor):
    """A :class:`waveflow.bijections.LongTermPredictor` whose inverse is traced for any length.

    ``torch.export`` records the work of one block once. It would record a Python loop block by
    block, for one number of frames, and compiled loops not at all.

    Args:
        predictor: the bijection.
    """

    def __init__(self, predictor: LongTermPredictor) -> None:
        super().__init__(
            predictor.network,
            lags=predictor.lags,
            block=predictor.block,
            kernel_size=predictor.kernel_size,
            window=predictor.window,
        )
        self.low_pass = predictor.low_pass

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """(batch, blocks * block), (batch, channels, frames) -> (batch, blocks * block)."""
        parameters = self.network(context).permute(2, 0, 1)
        count, batch = parameters.shape[:2]
        blocks = z.reshape(batch, count, self.block).transpose(0, 1)
        silence = z.new_zeros(batch, self.memory)
        _, audio = scan(self._advance, silence, (blocks, parameters))
        return audio.transpose(0, 1).reshape(batch, count * self.block)

    def _advance(self, past: Tensor, given: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        # a scan refuses two views of one tensor, and a state that is strided otherwise than before
        past, audio = self.advance(past, *given)
        dense = torch.contiguous_format
        return past.clone(memory_format=dense), audio.clone(memory_format=dense)

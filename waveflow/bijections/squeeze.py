"""Squeezing audio into channel groups, as WaveGlow does: by polyphase."""

from __future__ import annotations

from torch import Tensor

from waveflow.bijections.base import Bijection, zero_log_det


class Polyphase(Bijection):
    """WaveGlow's grouping: ``groups`` consecutive samples become the channels of one step.

    (batch, time) <-> (batch, groups, time / groups); a permutation, so ``log_det`` is 0.
    Prenger et al., *WaveGlow* (https://arxiv.org/abs/1811.00002), section 2.

    >>> import torch
    >>> Polyphase(2)(torch.arange(6.0)[None])[0].tolist()
    [[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]]
    """

    volume_preserving = True

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return blocks(x, self.groups).mT, zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z.mT.flatten(1)


def blocks(audio: Tensor, groups: int) -> Tensor:
    """(batch, time) -> (batch, time / groups, groups), ``time`` being a whole number of groups."""
    if audio.dim() != 2 or audio.shape[-1] % groups:
        raise ValueError(
            f"expected audio of shape (batch, time) with time a multiple of {groups}; "
            f"got {tuple(audio.shape)}"
        )
    return audio.unflatten(1, (-1, groups))

"""Squeezing audio into channel groups, as WaveGlow does: by polyphase."""

from __future__ import annotations

from torch import Tensor

from waveflow.bijections.base import Axis, Bijection, Shape, Way, zero_log_det
from waveflow.streaming.lapping import Blocks, Samples
from waveflow.streaming.place import Place


class Polyphase(Bijection):
    """WaveGlow's grouping: ``groups`` consecutive samples become the channels of one step.

    (batch, time) <-> (batch, groups, time / groups); a permutation, so ``log_det`` is 0.
    Prenger et al., *WaveGlow* (https://arxiv.org/abs/1811.00002), section 2.

    >>> import torch
    >>> z, log_det = Polyphase(2)(torch.arange(6.0)[None])
    >>> z.tolist()
    [[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]]
    >>> Polyphase(2).inverse(z).tolist()
    [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]
    """

    volume_preserving = True

    def __init__(self, groups: int):
        super().__init__()
        self.groups = groups

    def x_shape(self) -> Shape:
        return "batch", Axis("time", multiple_of=self.groups)

    def z_shape(self) -> Shape:
        return "batch", self.groups, "steps"

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return x.unflatten(1, (-1, self.groups)).mT, zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z.mT.flatten(1)

    def stages(self, place: Place) -> Way:
        return [Samples(self.groups)], place.of_step(1)

    def forward_stages(self, place: Place) -> Way:
        return [Blocks(self.groups)], place.of_step(self.groups)

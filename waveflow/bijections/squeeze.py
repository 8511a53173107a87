"""Squeezing audio into channels, as WaveGlow does."""

from __future__ import annotations

from torch import Tensor

from waveflow.bijections.base import Axis, Bijection, PlacedStages, Shape, zero_log_det
from waveflow.streaming.lapping import SqueezeStage, UnsqueezeStage
from waveflow.streaming.place import Place


class Squeeze(Bijection):
    """WaveGlow's squeeze: ``groups`` consecutive samples become the channels of one step.

    (batch, time) <-> (batch, groups, time / groups); a permutation, so ``log_det`` is 0. The
    channels are the polyphase components of the audio.
    Prenger et al., *WaveGlow* (https://arxiv.org/abs/1811.00002), section 2.

    Args:
        groups: Number of samples in a step.

    >>> import torch
    >>> z, log_det = Squeeze(2)(torch.arange(6.0)[None])
    >>> z.tolist()
    [[[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]]
    >>> Squeeze(2).inverse(z).tolist()
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

    def stages(self, place: Place) -> PlacedStages:
        return [UnsqueezeStage(self.groups)], place.of_step(1)

    def forward_stages(self, place: Place) -> PlacedStages:
        return [SqueezeStage(self.groups)], place.of_step(self.groups)

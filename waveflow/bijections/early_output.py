"""Early outputs: some channels leave for the latent before the rest is done."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.bijections.base import Bijection


class EarlyOutput(Bijection):
    r"""The first ``channels`` channels go to the latent as they are, the others through ``rest``.

    :math:`z = [x_\text{early},\ \text{rest}(x_\text{late})]`. Nesting gives WaveGlow's multi-scale
    latent (https://arxiv.org/abs/1811.00002, section 2.3; Real NVP, section 3.6), and z stays one
    tensor of the size of x.

    Args:
        channels: how many channels leave.
        rest: what happens to the others.
    """

    def __init__(self, channels: int, rest: Bijection):
        super().__init__()
        self.channels = channels
        self.rest = rest
        self.volume_preserving = rest.volume_preserving

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = self.rest(x[:, self.channels :], context)
        return torch.cat([x[:, : self.channels], z], dim=1), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.rest.inverse(z[:, self.channels :], context)
        return torch.cat([z[:, : self.channels], x], dim=1)

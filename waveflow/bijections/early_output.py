"""Early outputs: some channels go to the latent before the other layers."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.bijections.base import Bijection, PlacedStages, Shape
from waveflow.streaming.coupling import EarlyOutputStage
from waveflow.streaming.place import Place
from waveflow.streaming.rows import SequentialStage


class EarlyOutput(Bijection):
    r"""The first ``channels`` channels go to the latent as they are, the others through ``rest``.

    :math:`z = [x_\text{early},\ \text{rest}(x_\text{late})]`. Nesting gives WaveGlow's multi-scale
    latent (https://arxiv.org/abs/1811.00002, section 2.3; Real NVP, section 3.6), and z stays one
    tensor of the size of x.

    Args:
        channels: Number of early channels.
        rest: The bijection of the other channels.

    >>> import torch
    >>> from waveflow.bijections import InvertibleConv1x1
    >>> early, x = EarlyOutput(2, InvertibleConv1x1(4)), torch.randn(1, 6, 5)
    >>> z, log_det = early(x)
    >>> z.shape, torch.equal(z[:, :2], x[:, :2])
    (torch.Size([1, 6, 5]), True)
    >>> torch.allclose(early.inverse(z), x, atol=1e-5)
    True
    """

    def __init__(self, channels: int, rest: Bijection):
        super().__init__()
        self.channels = channels
        self.rest = rest
        self.volume_preserving = rest.volume_preserving

    def x_shape(self) -> Shape | None:
        return self._widened(self.rest.x_shape())

    def z_shape(self) -> Shape | None:
        return self._widened(self.rest.z_shape())

    def _widened(self, rest: Shape | None) -> Shape | None:
        """The shape with the early channels, given the shape without them."""
        if rest is None:
            return None
        batch, channels, *others = rest
        return batch, channels + self.channels if isinstance(channels, int) else "channels", *others

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, log_det = self.rest(x[:, self.channels :], context)
        return torch.cat([x[:, : self.channels], z], dim=1), log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        x = self.rest.inverse(z[:, self.channels :], context)
        return torch.cat([z[:, : self.channels], x], dim=1)

    def local_log_det(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        z, parts = self.rest.local_log_det(x[:, self.channels :], context)
        return torch.cat([x[:, : self.channels], z], dim=1), parts

    def stages(self, place: Place) -> PlacedStages:
        return self._beside(self.rest.stages(place))

    def forward_stages(self, place: Place) -> PlacedStages:
        return self._beside(self.rest.forward_stages(place))

    def _beside(self, rest: PlacedStages) -> PlacedStages:
        stages, place = rest
        return [EarlyOutputStage(self.channels, SequentialStage(stages))], place

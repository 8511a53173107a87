"""Early outputs: some channels leave for the latent before the rest is done."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.bijections.base import Bijection, Shape, Way
from waveflow.streaming.coupling import Early
from waveflow.streaming.place import Place
from waveflow.streaming.rows import Stages


class EarlyOutput(Bijection):
    r"""The first ``channels`` channels go to the latent as they are, the others through ``rest``.

    :math:`z = [x_\text{early},\ \text{rest}(x_\text{late})]`. Nesting gives WaveGlow's multi-scale
    latent (https://arxiv.org/abs/1811.00002, section 2.3; Real NVP, section 3.6), and z stays one
    tensor of the size of x.

    Args:
        channels: how many channels leave.
        rest: what happens to the others.

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
        """The shape of all channels, given that of the others."""
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

    def stages(self, place: Place) -> Way:
        return self._beside(self.rest.stages(place))

    def forward_stages(self, place: Place) -> Way:
        return self._beside(self.rest.forward_stages(place))

    def _beside(self, rest: Way) -> Way:
        stages, place = rest
        return [Early(self.channels, Stages(stages))], place

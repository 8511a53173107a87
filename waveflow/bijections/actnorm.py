"""ActNorm: a learned scale and shift of each channel, set from the first batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from waveflow.bijections.base import Bijection, PlacedStages, Shape, zero_log_det
from waveflow.bijections.cached import CachedScalar
from waveflow.bijections.constant import FusedScaling, Scaling
from waveflow.precision import full_precision
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.place import Place


class ActNorm(Bijection):
    r"""Glow's activation normalisation, :math:`z = (x + \text{shift})\,e^{\text{log\_scale}}`
    of each channel, :math:`\log|\det J| = \text{steps}\cdot\sum\text{log\_scale}`.

    The first batch in training mode sets both, so that each channel of the output has zero mean
    and unit variance; a buffer records that this has happened. Channels with no variance are
    scaled by no more than ``1 / floor``. Before that batch the map is the identity.
    Kingma & Dhariwal, *Glow* (https://arxiv.org/abs/1807.03039), section 3.1.

    Args:
        channels: Number of channels; the map takes (batch, channels, steps).
        floor: The smallest standard deviation of a channel; smaller ones count as this.

    >>> import torch
    >>> actnorm = ActNorm(2)
    >>> x = 5 + 3 * torch.randn(4, 2, 100)
    >>> z, log_det = actnorm(x)
    >>> torch.allclose(z.std((0, 2), correction=0), torch.ones(2), atol=1e-3)
    True
    >>> torch.allclose(actnorm.inverse(z), x, atol=1e-4), log_det.shape
    (True, torch.Size([4]))
    """

    initialized: Tensor

    def __init__(self, channels: int, *, floor: float = 1e-5):
        super().__init__()
        self.floor = floor
        self.shift = nn.Parameter(torch.zeros(channels, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, 1))
        self.register_buffer("initialized", torch.tensor(False))
        self._is_set = CachedScalar()

    def x_shape(self) -> Shape:
        return "batch", self.shift.shape[0], "steps"

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if self.training and not self._is_set.read(self.initialized):
            self._initialize(x)
        with full_precision(x):
            z = (x + self.shift) * self.log_scale.exp()
        return z, zero_log_det(x) + x.shape[-1] * self.log_scale.sum()

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        with full_precision(z):
            return z * (-self.log_scale).exp() - self.shift

    def stages(self, place: Place) -> PlacedStages:
        log_scale, shift = self.log_scale.detach().double(), self.shift.detach().double()
        return [LinearStage((-log_scale[:, 0]).exp(), -shift[:, 0], place.like)], place

    def forward_stages(self, place: Place) -> PlacedStages:
        scale = self.log_scale.detach().double()[:, 0].exp()
        return [LinearStage(scale, scale * self.shift.detach().double()[:, 0], place.like)], place

    def constant(self) -> Bijection:
        return Scaling(self.log_scale, self.shift)

    def fused(self) -> Bijection:
        return FusedScaling(self.log_scale, self.shift)

    @torch.no_grad()
    def _initialize(self, x: Tensor) -> None:
        mean = x.mean(dim=(0, 2))[:, None]
        deviation = x.std(dim=(0, 2), correction=0)[:, None]
        self.shift.copy_(-mean)
        self.log_scale.copy_(-deviation.clamp_min(self.floor).log())
        self._is_set.write(self.initialized, True)

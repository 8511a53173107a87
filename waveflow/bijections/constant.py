"""Linear maps of channels with constants computed beforehand: for tracing, and for a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.bijections.base import Bijection, zero_log_det


class Mixing(Bijection):
    """A 1x1 convolution and its inverse as constants.

    Args:
        weight: The matrix of the convolution, (channels, channels).
    """

    weight: Tensor
    matrix: Tensor
    log_det: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        exact = weight.detach().double()
        self.register_buffer("weight", weight.detach().clone())
        self.register_buffer("matrix", torch.linalg.inv(exact).to(weight.dtype).contiguous())
        self.register_buffer("log_det", torch.linalg.slogdet(exact).logabsdet.to(weight.dtype))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.weight @ x, zero_log_det(x) + x.shape[-1] * self.log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.matrix @ z


class Scaling(Bijection):
    """An ActNorm whose exponential is a constant.

    Args:
        log_scale: Log-scale of the ActNorm, (channels, 1).
        shift: Shift of the ActNorm, (channels, 1).
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, log_scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", (-log_scale.detach()).exp())
        self.register_buffer("shift", shift.detach().clone())

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        log_det = zero_log_det(x) - x.shape[-1] * self.scale.log().sum()
        return (x + self.shift) / self.scale, log_det

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * self.scale - self.shift


class FusedScaling(Scaling):
    """An ActNorm whose inverse is one operator."""

    offset: Tensor

    def __init__(self, log_scale: Tensor, shift: Tensor) -> None:
        super().__init__(log_scale, shift)
        self.register_buffer("offset", -self.shift)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.addcmul(self.offset, z, self.scale)


class FusedMixing(Bijection):
    """An ActNorm and a 1x1 convolution whose inverse is one operator.

    Args:
        scaling: The ActNorm.
        mixing: The convolution after it.
    """

    matrix: Tensor
    offset: Tensor

    def __init__(self, scaling: Scaling, mixing: Mixing) -> None:
        super().__init__()
        self.scaling, self.mixing = scaling, mixing
        self.register_buffer("matrix", scaling.scale * mixing.matrix)
        self.register_buffer("offset", -scaling.shift)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x, log_det = self.scaling(x)
        z, more = self.mixing(x)
        return z, log_det + more

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.baddbmm(self.offset, self.matrix.expand(len(z), -1, -1), z)

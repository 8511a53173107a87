"""Invertible 1x1 convolutions: a learned mixing of channels, the same at every step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from waveflow.bijections.actnorm import ActNorm
from waveflow.bijections.base import Bijection, PlacedStages, Shape
from waveflow.bijections.constant import FusedMixing, Mixing, Scaling
from waveflow.precision import default_precision, full_precision
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.place import Place


class Conv1x1(Bijection):
    """The common part of both forms of the matrix."""

    def matrix(self) -> Tensor:
        """W, (channels, channels)."""
        raise NotImplementedError

    def stages(self, place: Place) -> PlacedStages:
        return self._mixing(torch.linalg.inv(self.matrix().detach().double()), place)

    def forward_stages(self, place: Place) -> PlacedStages:
        return self._mixing(self.matrix().detach().double(), place)

    def _mixing(self, matrix: Tensor, place: Place) -> PlacedStages:
        return [LinearStage(matrix.T, matrix.new_zeros(len(matrix)), place.like)], place

    def constant(self) -> Bijection:
        return Mixing(self.matrix())

    def fused_behind(self, before: Bijection) -> Bijection | None:
        if not isinstance(before, ActNorm):
            return None
        return FusedMixing(Scaling(before.log_scale, before.shift), Mixing(self.matrix()))


class InvertibleConv1x1(Conv1x1):
    r"""Glow's invertible 1x1 convolution with a dense matrix: :math:`z_t = W x_t`,
    :math:`\log|\det J| = \text{steps}\cdot\log|\det W|`.

    W starts as a random rotation. Kingma & Dhariwal, *Glow* (https://arxiv.org/abs/1807.03039),
    section 3.2. The inverse matrix is computed in float64 for every precision of W.

    Args:
        channels: Number of channels; the map takes (batch, channels, steps).

    >>> import torch
    >>> mixing, x = InvertibleConv1x1(4), torch.randn(2, 4, 5)
    >>> z, log_det = mixing(x)
    >>> z.shape, torch.allclose(mixing.inverse(z), x, atol=1e-5)
    (torch.Size([2, 4, 5]), True)
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(_weight(random_rotation(channels)))

    def x_shape(self) -> Shape:
        return "batch", self.weight.shape[0], "steps"

    def matrix(self) -> Tensor:
        return self.weight

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            log_det = x.shape[-1] * torch.linalg.slogdet(self.weight).logabsdet
            return self.weight @ x, log_det.expand(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        with full_precision(z):
            return _inverse(self.weight).to(z.dtype) @ z


class PLUConv1x1(Conv1x1):
    r"""Glow's invertible 1x1 convolution in PLU form: :math:`W = P L (U + \text{diag}(s))`.

    P is a fixed permutation, L unit lower triangular, U strictly upper triangular, so
    :math:`\log|\det W| = \sum \log|s|` costs nothing, the inverse is two triangular solves, and
    W cannot become singular. W starts as a random rotation
    (https://arxiv.org/abs/1807.03039, equations 10 and 11).

    Args:
        channels: Number of channels; the map takes (batch, channels, steps).

    >>> import torch
    >>> mixing, x = PLUConv1x1(4), torch.randn(2, 4, 5)
    >>> z, log_det = mixing(x)
    >>> z.shape, torch.allclose(mixing.inverse(z), x, atol=1e-5)
    (torch.Size([2, 4, 5]), True)
    """

    permutation: Tensor
    sign: Tensor

    def __init__(self, channels: int):
        super().__init__()
        permutation, lower, upper = torch.linalg.lu(random_rotation(channels))
        diagonal = upper.diagonal()
        self.register_buffer("permutation", _weight(permutation))
        self.register_buffer("sign", _weight(diagonal.sign()))
        self.log_diagonal = nn.Parameter(_weight(diagonal.abs().log()))
        self.lower = nn.Parameter(_weight(lower.tril(-1)))
        self.upper = nn.Parameter(_weight(upper.triu(1)))

    def x_shape(self) -> Shape:
        return "batch", self.lower.shape[0], "steps"

    def matrix(self) -> Tensor:
        lower, upper = self._factors()
        return self.permutation @ lower @ upper

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        with full_precision(x):
            log_det = x.shape[-1] * self.log_diagonal.sum()
            return self.matrix() @ x, log_det.expand(x.shape[0])

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        with full_precision(z):
            lower, upper = self._factors()
            x = torch.linalg.solve_triangular(
                lower, self.permutation.mT @ z, upper=False, unitriangular=True
            )
            return torch.linalg.solve_triangular(upper, x, upper=True)

    def _factors(self) -> tuple[Tensor, Tensor]:
        lower = self.lower.tril(-1) + torch.eye(
            len(self.lower), dtype=self.lower.dtype, device=self.lower.device
        )
        upper = self.upper.triu(1) + torch.diag(self.sign * self.log_diagonal.exp())
        return lower, upper


def _inverse(matrix: Tensor) -> Tensor:
    """The inverse of a matrix, computed in float64.

    A singular matrix raises an error on a CPU. On a GPU its inverse is NaN, because an error would
    need a synchronisation.
    """
    if matrix.device.type == "cpu":
        return torch.linalg.inv(matrix.double()).to(matrix.dtype)
    inverse, singular = torch.linalg.inv_ex(matrix.double())
    return inverse.masked_fill(singular != 0, torch.nan).to(matrix.dtype)


@torch.no_grad()
def condition_numbers(bijection: Bijection) -> dict[str, float]:
    """Condition number of every 1x1 matrix in a bijection, by module name.

    The inverse of a map with condition number k loses log10(k) digits; infinity or NaN means that
    there is no inverse.
    """
    conditions = {}
    for name, module in bijection.named_modules():
        if isinstance(module, Conv1x1):
            matrix = module.matrix().double().cpu()
            finite = bool(matrix.isfinite().all())
            conditions[name] = torch.linalg.cond(matrix).item() if finite else math.nan
    return conditions


def random_rotation(channels: int) -> Tensor:
    """A random orthonormal matrix with determinant +1, (channels, channels)."""
    dtype = default_precision()  # half precision has no decompositions
    rotation = torch.linalg.qr(torch.randn(channels, channels, dtype=dtype)).Q
    rotation[:, 0] *= torch.linalg.det(rotation).sign()
    return rotation.contiguous()


def _weight(value: Tensor) -> Tensor:
    return value.to(torch.get_default_dtype())

"""Copies of modules in which every constant is computed beforehand."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from waveflow.bijections import (
    ActNorm,
    Bijection,
    InvertibleConv1x1,
    Lapped,
    LongTermPredictor,
    PLUConv1x1,
)
from waveflow.bijections.base import zero_log_det
from waveflow.bijections.lapped import dct4, rotation
from waveflow.inference.folded_long_term import FoldedLongTerm
from waveflow.nets.wavenet import Pointwise

Kinds: TypeAlias = Mapping[type[nn.Module], Callable[..., nn.Module]]


def folded(module: nn.Module, kinds: Kinds | None = None) -> nn.Module:
    """A copy without weight norm, whose bijections keep what only their inverses need.

    Args:
        module: any.
        kinds: what takes the place of which module; by default what can be traced.
    """
    return _replaced(copy.deepcopy(module), _FOLDED if kinds is None else kinds)


class Mixing(Bijection):
    """The inverse of a 1x1 convolution as a constant."""

    matrix: Tensor

    def __init__(self, convolution: InvertibleConv1x1 | PLUConv1x1) -> None:
        super().__init__()
        matrix = convolution.matrix()
        inverse = torch.linalg.inv(matrix.detach().double()).to(matrix.dtype)
        self.register_buffer("matrix", inverse.contiguous())

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return self.matrix @ z


class Scaling(Bijection):
    """The inverse of an ActNorm, its exponential taken."""

    scale: Tensor
    shift: Tensor

    def __init__(self, actnorm: ActNorm) -> None:
        super().__init__()
        self.register_buffer("scale", (-actnorm.log_scale.detach()).exp())
        self.register_buffer("shift", actnorm.shift.detach().clone())

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z * self.scale - self.shift


class FoldedLapped(Bijection):
    """A lapped transform with its tables in buffers: cached ones would be the tracer's."""

    matrix: Tensor
    cos: Tensor
    sin: Tensor

    def __init__(self, lapped: Lapped) -> None:
        super().__init__()
        self.groups = lapped.groups
        dtype, device = torch.float64, torch.device("cpu")  # cast with all the graph
        cos, sin = rotation(lapped.groups, dtype, device)
        self.register_buffer("matrix", dct4(lapped.groups, dtype, device).clone())
        self.register_buffer("cos", cos.flip(0)[:, None])
        self.register_buffer("sin", sin.flip(0)[:, None])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        blocks = x.reshape(x.shape[0], -1, self.groups).mT
        return self.matrix @ self._rotate(blocks, self.sin), zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        blocks = self._rotate(self.matrix @ z, -self.sin)
        return blocks.mT.reshape(z.shape[0], -1)

    def _rotate(self, blocks: Tensor, sin: Tensor) -> Tensor:
        """Rotate the last half of each block against the first of the next, mirrored."""
        half = self.groups // 2
        first, last = blocks[:, :half], blocks[:, half:]
        before, after = last[..., :-1], first[..., 1:].flip(1)
        rotated_before = self.cos * before - sin * after
        rotated_after = (self.cos * after + sin * before).flip(1)
        first = torch.cat([first[..., :1], rotated_after], dim=2)
        last = torch.cat([rotated_before, last[..., -1:]], dim=2)
        return torch.cat([first, last], dim=1)


class Product(nn.Module):
    """A convolution of kernel size 1 as a product with one matrix, whatever the batch."""

    def __init__(self, convolution: Pointwise) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight[..., 0].detach().clone())
        self.bias = nn.Parameter(cast(Tensor, convolution.bias)[:, None].detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, steps) -> (batch, out_channels, steps)."""
        return self.weight @ x + self.bias


_FOLDED: Kinds = {
    ActNorm: Scaling,
    InvertibleConv1x1: Mixing,
    Lapped: FoldedLapped,
    LongTermPredictor: FoldedLongTerm,
    PLUConv1x1: Mixing,
    Pointwise: Product,
}
"""What takes the place of a module."""


def _replaced(module: nn.Module, kinds: Kinds) -> nn.Module:
    if parametrize.is_parametrized(module, "weight"):
        module = parametrize.remove_parametrizations(module, "weight")
    if type(module) in kinds:
        module = kinds[type(module)](module)
    for name, child in module.named_children():
        setattr(module, name, _replaced(child, kinds))
    return module

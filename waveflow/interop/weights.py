"""A state dict that checks every tensor when it is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_NEVER_USED = re.compile(r"convinv\.\d+\.inv_conv\.weight")
"""Inverse matrices, which NeMo saves after a synthesis."""


@dataclass(frozen=True)
class Layer:
    """A convolution with weight norm: the weight is ``g * v / |v|``, with the norm of each row.

    Attributes:
        g: magnitudes, (out_channels, 1, 1).
        v: directions, (out_channels, in_channels, kernel_size).
        bias: bias, (out_channels,).
    """

    g: Tensor
    v: Tensor
    bias: Tensor

    @classmethod
    def stacked(cls, layers: Sequence[Layer]) -> Layer:
        """One layer with the concatenated outputs of several layers.

        The result is exact, because weight norm acts on each output channel separately.
        """
        return cls(
            torch.cat([layer.g for layer in layers]),
            torch.cat([layer.v for layer in layers]),
            torch.cat([layer.bias for layer in layers]),
        )

    @classmethod
    def plain(cls, weight: Tensor, bias: Tensor) -> Layer:
        """The layer of a weight without weight norm; the magnitude is the norm of the weight."""
        g = torch.linalg.vector_norm(weight.double(), dim=(1, 2), keepdim=True).to(weight.dtype)
        silent = g == 0  # any direction works; without one the weight would be 0 / 0
        return cls(g, torch.where(silent, torch.ones_like(weight), weight), bias)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors by their names in torch's parametrisation."""
        return {
            "parametrizations.weight.original0": self.g,
            "parametrizations.weight.original1": self.v,
            "bias": self.bias,
        }


class Weights:
    """Names and tensors; each tensor can be taken once.

    Args:
        tensors: state dict of a WaveGlow.

    Attributes:
        dtype: float64 if all tensors are float64, float32 otherwise.
    """

    def __init__(self, tensors: Mapping[str, Tensor]):
        self._left = {name: value for name, value in tensors.items()}
        for name in filter(_NEVER_USED.fullmatch, tensors):
            del self._left[name]
        types = {getattr(value, "dtype", None) for value in self._left.values()}
        self.dtype = torch.float64 if types == {torch.float64} else torch.float32

    def count(self, before: str, after: str) -> int:
        """The number of tensors ``before.0.after``, ``before.1.after`` and so on, at least 1."""
        count = 0
        while f"{before}.{count}.{after}" in self._left:
            count += 1
        if not count:
            self._tensor(f"{before}.0.{after}")
        return count

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a tensor that has not been taken."""
        shape = tuple(self._tensor(name).shape)
        if len(shape) != dimensions or 0 in shape:
            raise ValueError(f"{name}: expected {dimensions} dimensions; got shape {shape}")
        return shape

    def layer_shape(self, name: str) -> tuple[int, ...]:
        """The shape of a layer's weight, which has not been taken."""
        return self.shape(f"{name}.{self._spelling(name)[-1]}", 3)

    def require_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Raise ValueError if a tensor that has not been taken has another shape."""
        got = tuple(self._tensor(name).shape)
        if got != shape:
            raise ValueError(f"{name}: expected shape {shape}; got {got}")

    def take(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Take a tensor of this shape with finite numbers, converted to ``dtype``."""
        value = self._tensor(name)
        self.require_shape(name, shape)
        if not value.is_floating_point() or not value.isfinite().all():
            raise ValueError(f"{name}: expected finite numbers; got {value.dtype}, NaN or infinity")
        del self._left[name]
        return value.detach().to(self.dtype)

    def layer(self, name: str, shape: tuple[int, int, int]) -> Layer:
        """Take a layer whose weight has this shape, in any spelling of weight norm."""
        spelling = self._spelling(name)
        bias = self.take(f"{name}.bias", shape[:1])
        if len(spelling) == 1:
            return Layer.plain(self.take(f"{name}.{spelling[0]}", shape), bias)
        g, v = (f"{name}.{tensor}" for tensor in spelling)
        return Layer(self.take(g, (shape[0], 1, 1)), self._direction(v, shape), bias)

    def require_all_read(self) -> None:
        """Raise ValueError if a tensor has not been taken; names it."""
        for name in self._left:
            raise ValueError(f"expected the state dict of a WaveGlow; got {str(name)[:80]} as well")

    def _direction(self, name: str, shape: tuple[int, ...]) -> Tensor:
        v = self.take(name, shape)
        if not v.flatten(1).any(1).all():
            raise ValueError(f"{name}: expected a direction in every row; got one of zeros")
        return v

    def _spelling(self, name: str) -> tuple[str, ...]:
        new = "parametrizations.weight.original"
        if f"{name}.{new}1" in self._left:
            return f"{new}0", f"{new}1"
        return ("weight",) if f"{name}.weight" in self._left else ("weight_g", "weight_v")

    def _tensor(self, name: str) -> Tensor:
        value = self._left.get(name)
        if not isinstance(value, Tensor):
            got = "it is missing" if value is None else f"got {type(value).__name__}"
            raise ValueError(f"expected the state dict of a WaveGlow, with {name}; {got}")
        return value

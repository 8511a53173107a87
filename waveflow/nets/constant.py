"""Layers with constants computed beforehand, for tracing, and in few operators, for a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from waveflow.nets.wavenet import Pointwise, WaveNet


class Product(nn.Module):
    """A convolution of kernel size 1 as one matrix product for any batch size."""

    def __init__(self, convolution: Pointwise) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight[..., 0].detach().clone())
        self.bias = nn.Parameter(cast(Tensor, convolution.bias)[:, None].detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, in_channels, steps) -> (batch, out_channels, steps)."""
        return self.weight @ x + self.bias


class FusedProduct(Product):
    """A convolution of kernel size 1 in one operator."""

    def forward(self, x: Tensor) -> Tensor:
        return _product(self.bias, self.weight, x)


class FusedBounded(nn.Module):
    """A clamp in one operator.

    Args:
        low: Lower bounds, (channels, 1).
        high: Upper bounds, (channels, 1).
    """

    low: Tensor
    high: Tensor

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, steps) -> (batch, channels, steps)."""
        return x.clamp(self.low, self.high)


class FusedWaveNet(nn.Module):
    """A :class:`waveflow.nets.WaveNet` whose skips and end are one product in each layer.

    The biases of the dilated convolutions are merged into that of the condition, and products add
    their results to the skips and the residuals in the same operator.
    """

    def __init__(self, net: WaveNet) -> None:
        super().__init__()
        self.channels = channels = net.channels
        self.start, self.condition = _plain(net.start), _plain(net.condition)
        self.dilated, self.skip, self.residual = (nn.ModuleList() for _ in range(3))
        end, biases = _plain(net.end), []
        for dilated, pointwise in zip(net.dilated, net.residual_skip, strict=True):
            biases.append(cast(Tensor, dilated.bias))
            dilated.register_parameter("bias", None)
            self.dilated.append(dilated)
            skip = _plain(pointwise)
            if len(skip.weight) > channels:
                residual = _plain(pointwise)
                residual.weight = _constant(skip.weight[:channels])
                residual.bias = _constant(skip.bias[:channels])
                self.residual.append(residual)
                skip.weight = _constant(skip.weight[channels:])
                skip.bias = _constant(skip.bias[channels:])
            end.bias = _constant(end.bias + end.weight @ skip.bias)
            skip.weight = _constant(end.weight @ skip.weight)
            self.skip.append(skip)
        self.condition.bias = _constant(self.condition.bias + torch.cat(biases)[:, None])
        self.end_bias = end.bias

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """(batch, in_channels, steps), (batch, context_channels, steps / ratio) ->
        (batch, out_channels, steps).
        """
        hidden = self.start(x)
        conditions = self.condition(context).chunk(len(self.dilated), dim=1)
        total: Tensor = self.end_bias
        for layer, (dilated, condition) in enumerate(zip(self.dilated, conditions, strict=True)):
            activation = dilated(hidden)
            activation.unflatten(2, (context.shape[-1], -1)).add_(condition[..., None])
            activation[:, : self.channels].tanh_()
            gate = functional.glu(activation, 1)
            total = _product(total, cast(Product, self.skip[layer]).weight, gate)
            if layer < len(self.residual):
                residual = cast(Product, self.residual[layer])
                hidden = _product(hidden, residual.weight, gate).add_(residual.bias)
        return total


def _plain(convolution: nn.Module) -> FusedProduct:
    return FusedProduct(cast("Pointwise", convolution))


def _constant(x: Tensor) -> nn.Parameter:
    return nn.Parameter(x.detach().clone())


def _product(added: Tensor, matrix: Tensor, x: Tensor) -> Tensor:
    """``added + matrix @ x``, (batch, channels, steps)."""
    return torch.baddbmm(added, matrix.expand(len(x), -1, -1), x)

"""Layers of a vocoder in few operators, for a GPU; their weights are constants."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from waveflow.bijections import (
    ActNorm,
    Affine,
    Bijection,
    Chain,
    InvertibleConv1x1,
    Lapped,
    PLUConv1x1,
    Scale,
)
from waveflow.bijections.base import zero_log_det
from waveflow.bijections.lapped import rotation
from waveflow.inference.folded import Kinds, Mixing, Product, Scaling
from waveflow.nets.bounded import Bounded
from waveflow.nets.wavenet import Pointwise, WaveNet


class WholeProduct(Product):
    """A convolution of kernel size 1 in one operator."""

    def forward(self, x: Tensor) -> Tensor:
        return _product(self.bias, self.weight, x)


class WholeScaling(Bijection):
    """The inverse of an ActNorm in one operator."""

    scale: Tensor
    offset: Tensor

    def __init__(self, actnorm: ActNorm) -> None:
        super().__init__()
        scaling = Scaling(actnorm)
        self.register_buffer("scale", scaling.scale)
        self.register_buffer("offset", -scaling.shift)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return torch.addcmul(self.offset, z, self.scale)


class WholeMixing(Bijection):
    """The inverse of an ActNorm and a 1x1 convolution in one operator."""

    matrix: Tensor
    offset: Tensor

    def __init__(self, actnorm: ActNorm, convolution: InvertibleConv1x1 | PLUConv1x1) -> None:
        super().__init__()
        scaling = Scaling(actnorm)
        self.register_buffer("matrix", scaling.scale * Mixing(convolution).matrix)
        self.register_buffer("offset", -scaling.shift)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return _product(self.offset, self.matrix, z)


def _chain(chain: Chain) -> Chain:
    """A chain whose pairs of ActNorm and 1x1 convolution are one layer."""
    layers: list[nn.Module] = []
    for layer in chain.bijections:
        if isinstance(layer, InvertibleConv1x1 | PLUConv1x1) and layers:
            before = layers[-1]
            if isinstance(before, ActNorm):
                layers[-1] = WholeMixing(before, layer)
                continue
        layers.append(layer)
    return Chain(*cast(list[Bijection], layers))


class WholeLapped(Bijection):
    r"""A lapped transform as one convolution, and its inverse as the transposed one.

    A convolution pads audio with zeros, so at both ends it takes the samples themselves by the
    cosine alone. The plain transform leaves them as they are. So the samples are divided by the
    cosine, in place, before the convolution and behind the transposed one.
    """

    weight: Tensor
    ends: Tensor

    def __init__(self, lapped: Lapped) -> None:
        super().__init__()
        groups, half = lapped.groups, lapped.groups // 2
        impulses = torch.eye(3 * groups, dtype=torch.float64, device="cpu")
        seen = lapped(impulses)[0][half : half + 2 * groups, :, 1]  # by the block in the middle
        cos = rotation(groups, torch.float64, impulses.device)[0]
        self.groups = groups
        self.register_buffer("weight", seen.mT[:, None].contiguous())
        self.register_buffer("ends", torch.stack([1 / cos, 1 / cos.flip(0)])[:, None])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x = self._scaled(x)[:, None]
        z = functional.conv1d(x, self.weight, stride=self.groups, padding=self.groups // 2)
        return z, zero_log_det(x)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        padding = self.groups // 2
        x = functional.conv_transpose1d(z, self.weight, stride=self.groups, padding=padding)
        return self._scaled(x[:, 0])

    def _scaled(self, audio: Tensor) -> Tensor:
        batch, time = audio.shape
        half, (row, sample) = self.groups // 2, audio.stride()
        strides = ((time - half) * sample, row, sample)
        audio.as_strided((2, batch, half), strides, audio.storage_offset()).mul_(self.ends)
        return audio


class WholeBounded(nn.Module):
    """A clamp in one operator."""

    low: Tensor
    high: Tensor

    def __init__(self, bounded: Bounded) -> None:
        super().__init__()
        for name, limit in zip(("low", "high"), bounded.limits(), strict=True):
            self.register_buffer(name, limit)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, steps) -> (batch, channels, steps)."""
        return x.clamp(self.low, self.high)


class WholeAffine(Affine):
    """Divides by the exponential, in place of the product with that of the opposite."""

    def __init__(self, _: Affine) -> None:
        super().__init__()

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        shift, log_scale = cast(Tensor, context).to(z.dtype).chunk(2, dim=1)
        return (z - shift).div_(log_scale.exp())


class WholeScale(Scale):
    """Divides by the exponential, in place of the product with that of the opposite."""

    def __init__(self, _: Scale) -> None:
        super().__init__()

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        return z / cast(Tensor, context).to(z.dtype).exp()


class WholeWaveNet(nn.Module):
    """A :class:`waveflow.nets.WaveNet` whose skips and end are one product a layer.

    The biases of the dilated convolutions are those of the condition, and what a layer adds to
    others is added by the product itself.
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


def _plain(convolution: nn.Module) -> WholeProduct:
    return WholeProduct(cast(Pointwise, convolution))


def _constant(x: Tensor) -> nn.Parameter:
    return nn.Parameter(x.detach().clone())


def _product(added: Tensor, matrix: Tensor, x: Tensor) -> Tensor:
    """``added + matrix @ x``, (batch, channels, steps)."""
    return torch.baddbmm(added, matrix.expand(len(x), -1, -1), x)


KINDS: Kinds = {
    ActNorm: WholeScaling,
    Affine: WholeAffine,
    Bounded: WholeBounded,
    Chain: _chain,
    InvertibleConv1x1: Mixing,
    Lapped: WholeLapped,
    PLUConv1x1: Mixing,
    Pointwise: WholeProduct,
    Scale: WholeScale,
    WaveNet: WholeWaveNet,
}
"""What takes the place of a module; a long-term predictor stays."""

"""The inverses of bijections as ONNX operators, one function each."""

from __future__ import annotations

from functools import singledispatch
from typing import cast

from torch import Tensor

from waveflow.bijections import (
    Bijection,
    Chain,
    ContextAffine,
    Coupling,
    EarlyOutput,
    Elementwise,
    Inverse,
    Squeeze,
)
from waveflow.bijections.constant import Mixing, Scaling
from waveflow.bijections.lapped_forms import ConstantLapped
from waveflow.bijections.long_term import ConstantLongTerm
from waveflow.export.builder import OnnxBuilder
from waveflow.export.coupling import Data, elementwise_inverse, merge, split
from waveflow.export.long_term import long_term
from waveflow.export.networks import network, repeated


class Context:
    """The context of the bijections.

    Args:
        value: The name of the value, (batch, channels, frames or steps).
        samples: Samples of audio in a step of the context.
    """

    def __init__(self, value: str, samples: int) -> None:
        self.value, self.samples = value, samples


@singledispatch
def inverse(module: Bijection, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    """The inverse of a bijection.

    Raises:
        ValueError: a bijection without an ONNX form.
    """
    raise ValueError(f"no ONNX form of {type(module).__name__}: expected one in {__name__}")


@inverse.register
def _chain(module: Chain, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    for bijection in reversed(module.bijections):
        z = inverse(cast(Bijection, bijection), builder, z, context)
    return z


@inverse.register
def _inverted(module: Inverse, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    return forward(cast(ConstantLapped, module.bijection), builder, z)


@inverse.register
def _mixing(module: Mixing, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    return z.but(builder.op("MatMul", builder.constant(module.matrix), z.value))


@inverse.register
def _scaling(module: Scaling, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    scaled = builder.op("Mul", z.value, builder.constant(module.scale))
    return z.but(builder.op("Sub", scaled, builder.constant(module.shift)))


@inverse.register
def _squeeze(module: Squeeze, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    return Data(builder.reshape(builder.swap(z.value), 0, -1), 0, 1)


@inverse.register
def _lapped(module: ConstantLapped, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    folded = builder.op("MatMul", builder.constant(module.matrix), z.value)
    blocks = _rotated(module, builder, folded, -module.sin)
    return Data(builder.reshape(builder.swap(blocks), 0, -1), 0, 1)


def forward(module: ConstantLapped, builder: OnnxBuilder, x: Data) -> Data:
    """A lapped transform, (batch, time) -> (batch, groups, time / groups)."""
    if not isinstance(module, ConstantLapped):
        raise ValueError(
            f"no ONNX form of Inverse({type(module).__name__}): expected one in {__name__}"
        )
    blocks = builder.swap(builder.reshape(x.value, 0, -1, module.groups))
    rotated = _rotated(module, builder, blocks, module.sin)
    value = builder.op("MatMul", builder.constant(module.matrix), rotated)
    return Data(value, module.groups, module.groups)


def _rotated(module: ConstantLapped, builder: OnnxBuilder, blocks: str, sin: Tensor) -> str:
    """Rotate the last half of each block against the mirrored first half of the next."""
    first, last = builder.split(blocks, 1, [module.groups // 2] * 2)
    before = builder.slice(last, 2, end=-1)
    after = builder.flip(builder.slice(first, 2, start=1), 1)

    def times(x: str, factor: Tensor) -> str:
        return builder.op("Mul", x, builder.constant(factor))

    rotated_before = builder.op("Sub", times(before, module.cos), times(after, sin))
    rotated_after = builder.op("Add", times(after, module.cos), times(before, sin))
    start, end = builder.slice(first, 2, end=1), builder.slice(last, 2, start=-1)
    first = builder.concat(2, start, builder.flip(rotated_after, 1))
    last = builder.concat(2, rotated_before, end)
    return builder.concat(1, first, last)


@inverse.register
def _long_term(module: ConstantLongTerm, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    parameters = network(module.network, builder, context.value, "", 1)
    return z.but(long_term(module, builder, z.value, parameters))


@inverse.register
def _early_output(module: EarlyOutput, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    sizes = [module.channels, z.channels - module.channels]
    early, late = builder.split(z.value, 1, sizes)
    rest = inverse(module.rest, builder, z.but(late, sizes[1]), context)
    return z.but(builder.concat(1, early, rest.value))


@inverse.register
def _coupling(module: Coupling, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    kept, moved = split(module.partition, builder, z)
    ratio = context.samples // z.samples
    parameters = network(module.conditioner, builder, kept, context.value, ratio)
    channels = module.partition.sizes(z.channels)[1]
    moved = elementwise_inverse(module.elementwise, builder, moved, parameters, channels)
    return z.but(merge(module.partition, builder, z, kept, moved))


@inverse.register
def _elementwise(module: Elementwise, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    return z.but(elementwise_inverse(module, builder, z.value, context.value, z.channels))


@inverse.register
def _context_affine(module: ContextAffine, builder: OnnxBuilder, z: Data, context: Context) -> Data:
    parameters = network(module.network, builder, context.value, "", 1)
    channels = module.elementwise.n_params * z.channels
    parameters = repeated(builder, parameters, channels, context.samples // z.samples)
    return z.but(elementwise_inverse(module.elementwise, builder, z.value, parameters, z.channels))

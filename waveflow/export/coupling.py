"""The parts of a coupling as ONNX operators: partitions and elementwise maps."""

from __future__ import annotations

from functools import singledispatch

import torch

from waveflow.bijections import Additive, Affine, Bijection, Channels, Checkerboard, Scale
from waveflow.bijections.partition import Partition
from waveflow.export.builder import OnnxBuilder


class Data:
    """The data between bijections: (batch, channels, time / channels), or (batch, time).

    Args:
        value: The name of the value.
        channels: Number of channels; 0 for audio.
        samples: Samples of audio in a step.
    """

    def __init__(self, value: str, channels: int, samples: int) -> None:
        self.value, self.channels, self.samples = value, channels, samples

    def but(self, value: str, channels: int | None = None) -> Data:
        """Another value with the same rate."""
        return Data(value, self.channels if channels is None else channels, self.samples)


@singledispatch
def elementwise_inverse(
    module: Bijection, builder: OnnxBuilder, z: str, parameters: str, channels: int
) -> str:
    """The inverse of an elementwise map.

    Args:
        module: The map.
        builder: The builder of the graph.
        z: The input, (batch, channels, ...).
        parameters: The parameters of the map, (batch, n_params * channels, ...).
        channels: Number of channels of the input.

    Raises:
        ValueError: a map without an ONNX form.
    """
    raise ValueError(f"no ONNX form of {type(module).__name__}: expected one in {__name__}")


@elementwise_inverse.register
def _additive(module: Additive, builder: OnnxBuilder, z: str, parameters: str, _: int) -> str:
    return builder.op("Sub", z, parameters)


@elementwise_inverse.register
def _scale(module: Scale, builder: OnnxBuilder, z: str, parameters: str, _: int) -> str:
    return builder.op("Mul", z, builder.op("Exp", builder.op("Neg", parameters)))


@elementwise_inverse.register
def _affine(module: Affine, builder: OnnxBuilder, z: str, parameters: str, channels: int) -> str:
    shift, log_scale = builder.split(parameters, 1, [channels] * 2)
    scale = builder.op("Exp", builder.op("Neg", log_scale))
    return builder.op("Mul", builder.op("Sub", z, shift), scale)


def split(partition: Partition, builder: OnnxBuilder, x: Data) -> tuple[str, str]:
    """The part that a coupling keeps, and the part that it moves.

    Raises:
        ValueError: a partition without an ONNX form.
    """
    if isinstance(partition, Channels):
        half = x.channels // 2
        first, second = builder.split(x.value, 1, [half, x.channels - half])
        return (second, first) if partition.swap else (first, second)
    if isinstance(partition, Checkerboard):
        even, odd = (builder.slice(x.value, 1, start=start, step=2) for start in (0, 1))
        keeps_even = _keeps_even(builder, partition, x.value)
        return (
            builder.op("Where", keeps_even, even, odd),
            builder.op("Where", keeps_even, odd, even),
        )
    raise ValueError(f"no ONNX form of {type(partition).__name__}: expected one in {__name__}")


def merge(partition: Partition, builder: OnnxBuilder, x: Data, kept: str, moved: str) -> str:
    """Merge parts as those of ``split`` of ``x``."""
    if isinstance(partition, Checkerboard):
        keeps_even = _keeps_even(builder, partition, kept)
        pairs = [
            builder.op("Unsqueeze", builder.op("Where", keeps_even, *parts), builder.constant([2]))
            for parts in ((kept, moved), (moved, kept))
        ]
        return builder.reshape(builder.concat(2, *pairs), 0, x.channels, -1)
    return builder.concat(1, *((moved, kept) if partition.swap else (kept, moved)))


def _keeps_even(builder: OnnxBuilder, partition: Partition, x: str) -> str:
    """(steps,): is the even channel of each pair the kept one?"""
    steps = builder.op(
        "Gather", builder.op("Shape", x), builder.constant(torch.tensor(2, device="cpu"))
    )
    zero, one, two = (builder.constant(torch.tensor(number, device="cpu")) for number in range(3))
    colour = builder.op("Mod", builder.op("Range", zero, steps, one), two)
    return builder.op("Equal", colour, one if partition.swap else zero)

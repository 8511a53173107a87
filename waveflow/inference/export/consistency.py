"""Mel consistency as ONNX operators."""

from __future__ import annotations

import torch

from waveflow.audio.consistency import LEAST_ENERGY, MOMENTUM
from waveflow.inference.export.builder import OnnxBuilder
from waveflow.inference.export.matrix_consistency import MatrixConsistency


def consistency(module: MatrixConsistency, builder: OnnxBuilder, audio: str, mel: str) -> str:
    """A :class:`waveflow.inference.export.matrix_consistency.MatrixConsistency` by operators.

    Args:
        module: its tables and the number of iterations.
        builder: where the operators go.
        audio: (batch, frames * hop_length).
        mel: (batch, n_mels, frames).

    Returns:
        audio, (batch, frames * hop_length).
    """
    if not module.iterations:
        return audio
    edges = _edges(module, builder, audio)
    share = _share(module, builder, mel)
    before = audio
    for index in range(module.iterations):
        carried_on = audio
        if index > 0:
            step = builder.op("Mul", builder.op("Sub", audio, before), builder.constant(MOMENTUM))
            carried_on = builder.op("Add", audio, step)
        change = _overlap_add(module, builder, _change(module, builder, carried_on, mel, edges))
        before = audio
        audio = builder.op("Add", carried_on, builder.op("Mul", share, change))
    return audio


def _change(
    module: MatrixConsistency,
    builder: OnnxBuilder,
    audio: str,
    mel: str,
    edges: tuple[str, str, str],
) -> str:
    """What the mel asks of every frame under its window, (batch, n_fft, frames)."""
    config = module.config
    rows, bins = module.second.shape[0], module.second.shape[1] // 2

    def product(table: torch.Tensor, x: str) -> str:
        return builder.op("MatMul", builder.constant(table), x)

    window = builder.constant(module.window)
    columns = builder.op("Mul", _frames(module, builder, audio, edges), window)
    parts = product(module.first, builder.reshape(columns, 0, module.first.shape[1], -1))
    parts = builder.reshape(parts, 0, rows, module.second.shape[2], -1)
    spectrum = product(module.second, parts)
    real, imaginary = builder.split(spectrum, 2, [bins] * 2)
    squares = (builder.op("Mul", part, part) for part in (real, imaginary))
    power = builder.op("Add", *squares)
    if config.power_floor:
        power = builder.op("Add", power, builder.constant(config.power_floor))
    magnitude = builder.reshape(builder.op("Sqrt", power), 0, rows * bins, -1)
    bands = builder.op("Max", product(module.filters, magnitude), builder.constant(config.clamp))
    wanting = product(module.weights, builder.op("Sub", mel, builder.op("Log", bands)))
    gain = builder.op("Sub", builder.op("Exp", wanting), builder.constant(1.0))
    gain = builder.reshape(gain, 0, rows, bins, -1)
    scaled = (builder.op("Mul", part, gain) for part in (real, imaginary))
    back = product(module.second_back, builder.concat(2, *scaled))
    back = product(module.first_back, builder.reshape(back, 0, module.first.shape[0], -1))
    return builder.op("Mul", builder.reshape(back, 0, config.n_fft, -1), window)


def _edges(module: MatrixConsistency, builder: OnnxBuilder, audio: str) -> tuple[str, str, str]:
    """Which samples stand before audio and behind it, and 0 if it is too short for that, else 1."""
    distance = torch.arange(1, module.padding + 1)
    last = builder.op("Sub", builder.size(audio, 1), builder.constant([1]))
    left = builder.op("Min", builder.constant(distance.flip(0)), last)
    right = builder.op("Sub", last, builder.constant(distance))
    right = builder.op("Max", right, builder.constant([0]))
    enough = builder.op("GreaterOrEqual", last, builder.constant([module.padding]))
    return left, right, builder.op("Cast", enough, to=1)  # to float32


def _frames(
    module: MatrixConsistency, builder: OnnxBuilder, audio: str, edges: tuple[str, str, str]
) -> str:
    """(batch, time) -> (batch, n_fft, frames)."""
    hop_length, parts = module.config.hop_length, module.parts
    *sides, enough = edges
    left, right = (
        builder.op("Mul", builder.op("Gather", audio, side, axis=1), enough) for side in sides
    )
    padded = builder.concat(1, left, audio, right)
    short = (parts - 1) * hop_length - 2 * module.padding
    padded = builder.pad(padded, rank=2, axis=1, before=0, after=short)
    hops = builder.swap(builder.reshape(padded, 0, -1, hop_length))
    pieces = [
        builder.slice(hops, 2, start=part, end=part - parts + 1 or None) for part in range(parts)
    ]
    columns = builder.concat(1, *pieces)
    spare = parts * hop_length - module.config.n_fft
    return builder.slice(columns, 1, end=-spare) if spare else columns


def _overlap_add(module: MatrixConsistency, builder: OnnxBuilder, columns: str) -> str:
    """(batch, n_fft, frames) -> (batch, time)."""
    hop_length, parts = module.config.hop_length, module.parts
    spare = parts * hop_length - module.config.n_fft
    columns = builder.pad(columns, rank=3, axis=1, before=0, after=spare)
    pieces = builder.split(columns, 1, [hop_length] * parts)
    total = builder.op(
        "Sum",
        *(
            builder.pad(piece, rank=3, axis=2, before=part, after=parts - part)
            for part, piece in enumerate(pieces)
        ),
    )
    audio = builder.reshape(builder.swap(total), 0, -1)
    behind = parts * hop_length - module.padding
    return builder.slice(audio, 1, start=module.padding, end=-behind)


def _share(module: MatrixConsistency, builder: OnnxBuilder, mel: str) -> str:
    """By what the change of every sample is weighed, (1, time)."""
    one, frames = builder.constant([1]), builder.size(mel, 2)
    ones = builder.op("Expand", builder.constant(1.0), builder.concat(0, one, one, frames))
    energy = builder.op("Mul", builder.constant(module.window.square()), ones)
    energy = _overlap_add(module, builder, energy)
    return builder.op("Reciprocal", builder.op("Max", energy, builder.constant(LEAST_ENERGY)))

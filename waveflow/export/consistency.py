"""Mel consistency as ONNX operators."""

from __future__ import annotations

import torch

from waveflow.audio.consistency import MOMENTUM
from waveflow.export.builder import OnnxBuilder
from waveflow.export.matrix_consistency import (
    MatrixConsistency,
    MatrixLowBand,
    MatrixStep,
)
from waveflow.export.onnx_columns import OnnxColumns


def consistency(module: MatrixConsistency, builder: OnnxBuilder, audio: str, mel: str) -> str:
    """A :class:`waveflow.export.matrix_consistency.MatrixConsistency` by operators.

    Args:
        module: The module with the tables and the number of iterations.
        builder: The builder of the graph.
        audio: The audio, (batch, frames * hop_length).
        mel: The mel, (batch, n_mels, frames).

    Returns:
        audio, (batch, frames * hop_length).
    """
    audio = _iterated(module.whole, builder, audio, mel)
    return audio if module.low is None else _low_band(module.low, builder, audio, mel)


def _low_band(module: MatrixLowBand, builder: OnnxBuilder, audio: str, mel: str) -> str:
    if not module.resamples:
        return _iterated(module.step, builder, audio, mel)
    columns = OnnxColumns(module.down_columns, builder, audio).cut(audio)
    blocks = builder.op("MatMul", builder.constant(module.down_matrix), columns)
    low = builder.reshape(builder.swap(blocks), 0, -1)
    change = builder.op("Sub", _iterated(module.step, builder, low, mel), low)
    columns = OnnxColumns(module.up_columns, builder, change).cut(change)
    blocks = builder.op("MatMul", builder.constant(module.up_matrix), columns)
    return builder.op("Add", audio, builder.reshape(builder.swap(blocks), 0, -1))


def _iterated(module: MatrixStep, builder: OnnxBuilder, audio: str, mel: str) -> str:
    if not module.iterations:
        return audio
    columns = OnnxColumns(module.columns, builder, audio)
    mel = builder.slice(mel, 1, start=module.bands.start, end=module.bands.stop)
    share, hold = columns.share_and_hold(mel)
    first = before = audio
    for index in range(module.iterations):
        extrapolated = audio
        if index > 0:
            step = builder.op("Mul", builder.op("Sub", audio, before), builder.constant(MOMENTUM))
            extrapolated = builder.op("Add", audio, step)
        change = columns.lay_down(_change(module, builder, columns.cut(extrapolated), mel))
        before = audio
        moved = builder.op("Add", extrapolated, builder.op("Mul", share, change))
        back = builder.op("Mul", hold, builder.op("Sub", first, moved))
        audio = builder.op("Add", moved, back)
    return audio


def _change(module: MatrixStep, builder: OnnxBuilder, frames: str, mel: str) -> str:
    """The change of every frame by the mel, (batch, size, frames)."""
    rows, bins = module.second.shape[0], module.second.shape[1] // 2

    def product(table: torch.Tensor, x: str) -> str:
        return builder.op("MatMul", builder.constant(table), x)

    columns = builder.op("Mul", frames, builder.constant(module.columns.window))
    parts = product(module.first, builder.reshape(columns, 0, module.first.shape[1], -1))
    parts = builder.reshape(parts, 0, rows, module.second.shape[2], -1)
    spectrum = product(module.second, parts)
    real, imaginary = builder.split(spectrum, 2, [bins] * 2)
    squares = (builder.op("Mul", part, part) for part in (real, imaginary))
    power = builder.op("Add", *squares)
    if module.floor:
        power = builder.op("Add", power, builder.constant(module.floor))
    magnitude = builder.reshape(builder.op("Sqrt", power), 0, rows * bins, -1)
    bands = builder.op("Max", product(module.filters, magnitude), builder.constant(module.clamp))
    wanting = product(module.weights, builder.op("Sub", mel, builder.op("Log", bands)))
    gain = builder.op("Sub", builder.op("Exp", wanting), builder.constant(1.0))
    gain = builder.reshape(gain, 0, rows, bins, -1)
    scaled = (builder.op("Mul", part, gain) for part in (real, imaginary))
    back = product(module.second_back, builder.concat(2, *scaled))
    back = product(module.first_back, builder.reshape(back, 0, module.first.shape[0], -1))
    return builder.reshape(back, 0, module.size, -1)

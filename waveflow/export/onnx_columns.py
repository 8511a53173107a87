"""Frames as columns, and their overlap-add, as ONNX operators."""

from __future__ import annotations

import torch

from waveflow.audio.frames import HOLD, LEAST_ENERGY
from waveflow.export.builder import OnnxBuilder
from waveflow.export.columns import Columns


class OnnxColumns:
    """A :class:`waveflow.export.columns.Columns` as operators.

    Args:
        columns: The frames, and the extension of audio beyond its ends.
        builder: The builder of the graph.
        audio: Any audio of the length to be cut, (batch, time).
    """

    def __init__(self, columns: Columns, builder: OnnxBuilder, audio: str) -> None:
        self._columns, self._builder = columns, builder
        self._mirrored: tuple[str, str, str, str] | None = None
        if columns.mirrors and columns.side:
            self._mirrored = self._mirrors(audio)

    def cut(self, audio: str) -> str:
        """(batch, time) -> (batch, size, frames), without the window."""
        columns, builder = self._columns, self._builder
        short = (columns.parts - 1) * columns.hop - 2 * columns.side
        if self._mirrored is None:
            side = columns.side
            padded = builder.pad(audio, rank=2, axis=1, before=side, after=side)
        else:
            *sides, enough, _ = self._mirrored
            left, right = (
                builder.op("Mul", builder.op("Gather", audio, side, axis=1), enough)
                for side in sides
            )
            padded = builder.concat(1, left, audio, right)
        padded = builder.pad(padded, rank=2, axis=1, before=0, after=short)
        hops = builder.swap(builder.reshape(padded, 0, -1, columns.hop))
        pieces = [
            builder.slice(hops, 2, start=part, end=part - columns.parts + 1 or None)
            for part in range(columns.parts)
        ]
        cut = builder.concat(1, *pieces)
        spare = columns.parts * columns.hop - columns.size
        return builder.slice(cut, 1, end=-spare) if spare else cut

    def lay_down(self, frames: str) -> str:
        """The windowed sum of frames, (batch, size, frames) -> (batch, frames * hop)."""
        columns, builder = self._columns, self._builder
        frames = builder.op("Mul", frames, builder.constant(columns.window))
        spare = columns.parts * columns.hop - columns.size
        frames = builder.pad(frames, rank=3, axis=1, before=0, after=spare)
        pieces = builder.split(frames, 1, [columns.hop] * columns.parts)
        total = builder.op(
            "Sum",
            *(
                builder.pad(piece, rank=3, axis=2, before=part, after=columns.parts - part)
                for part, piece in enumerate(pieces)
            ),
        )
        total = builder.reshape(builder.swap(total), 0, -1)
        tail = columns.parts * columns.hop - columns.side
        audio = builder.slice(total, 1, start=columns.side, end=-tail)
        if self._mirrored is None:
            return audio
        *_, enough, rest = self._mirrored
        far = -tail + columns.side
        start = builder.slice(total, 1, end=columns.side)
        end = builder.slice(total, 1, start=-tail, end=far or None)
        skipped, zero = builder.constant([columns.skipped]), builder.constant([0])
        for part, (before, after) in ((start, (skipped, rest)), (end, (rest, skipped))):
            part = builder.op("Mul", builder.flip(part, 1), enough)
            pads = builder.concat(0, zero, before, zero, after)
            audio = builder.op("Add", audio, builder.op("Pad", part, pads))
        return audio

    def share_and_hold(self, mel: str) -> tuple[str, str]:
        """The weight of the change of every sample, and ``Frames.hold`` of every sample, (1, time)
        each, for a mel (.., .., frames).
        """
        builder = self._builder
        one, frames = builder.constant([1]), builder.size(mel, 2)
        ones = builder.op("Expand", builder.constant(1.0), builder.concat(0, one, one, frames))
        energy = builder.op("Mul", builder.constant(self._columns.window), ones)
        energy = self.lay_down(energy)
        least = builder.op("Max", energy, builder.constant(LEAST_ENERGY))
        full = self._columns.full_energy
        hops = builder.reshape(energy, -1, self._columns.hop)
        missing = builder.op("Sub", builder.constant(full), hops)
        missing = builder.op("Max", missing, builder.constant(0.0))
        hold = builder.op("Mul", missing, builder.constant(HOLD / full.clamp_min(LEAST_ENERGY)))
        hold = builder.reshape(hold, 1, -1)
        if self._mirrored is not None:
            *_, enough, _ = self._mirrored
            hold = builder.op("Mul", hold, builder.op("Sub", builder.constant(1.0), enough))
        return builder.op("Reciprocal", least), hold

    def _mirrors(self, audio: str) -> tuple[str, str, str, str]:
        """The numbers of the samples mirrored before and after the audio; a factor, 0 if the audio
        is too short for mirrors, else 1; and the number of samples that an end's mirror does not
        need.
        """
        columns, builder = self._columns, self._builder
        needed = columns.side + columns.skipped
        distance = torch.arange(columns.skipped, needed, device="cpu")
        time = builder.size(audio, 1)
        last = builder.op("Sub", time, builder.constant([1]))
        left = builder.op("Min", builder.constant(distance.flip(0)), last)
        right = builder.op("Sub", last, builder.constant(distance))
        right = builder.op("Max", right, builder.constant([0]))
        enough = builder.op("GreaterOrEqual", time, builder.constant([needed]))
        enough = builder.op("Cast", enough, to=1)  # to float32
        return left, right, enough, builder.op("Sub", time, builder.constant([needed]))

"""Stages of couplings: the input is delayed until the conditioner's output for it exists."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from waveflow.streaming.linear import LinearStage
from waveflow.streaming.rows import DelayLine, PushFunction, SequentialReach, SharedBuffer, Stage

Move = Callable[[Tensor, Tensor], Tensor]
"""Rows (steps, channels) and their parameters (steps, n) -> rows (steps, channels)."""


class RowPartition(Protocol):
    """A split of rows into the part that a coupling keeps and the part that it moves."""

    def split_rows(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Split (steps, channels) into both parts.

        Args:
            rows: The rows, (steps, channels).
            step: Number of the first row in the signal.
        """
        ...

    def merge_rows(self, kept: Tensor, moved: Tensor, step: int) -> Tensor:
        """Undo ``split_rows``."""
        ...


class CouplingStage(SequentialReach):
    """A :class:`waveflow.bijections.Coupling` in one direction, (steps, channels) -> same shape.

    Args:
        partition: The partition of the channels.
        conditioner: The stage of the conditioner.
        move: The map of the moved part.
    """

    def __init__(self, partition: RowPartition, conditioner: Stage, move: Move):
        super().__init__([conditioner])
        self._partition = partition
        self._conditioner = conditioner
        self._move = move

    def begin(self, context: SharedBuffer) -> PushFunction:
        read = self._conditioner.begin(context)
        waiting = DelayLine()
        received = emitted = 0

        def push(rows: Tensor, last: bool) -> Tensor:
            nonlocal received, emitted
            waiting.push(rows)
            kept, _ = self._partition.split_rows(rows, received)
            received += len(rows)
            parameters = read(kept, last)
            rows, first = waiting.take(len(parameters)), emitted
            emitted += len(parameters)
            kept, moved = self._partition.split_rows(rows, first)
            return self._partition.merge_rows(kept, self._move(moved, parameters), first)

        return push


class ContextAffineStage(Stage):
    """A :class:`waveflow.bijections.ContextAffine` in one direction.

    Args:
        parameters: The map from rows of the context to parameters; None if the context is the
            parameters.
        move: The map of the data.
        ratio: Steps for each row of the context.
    """

    def __init__(self, parameters: LinearStage | None, move: Move, ratio: int):
        self._parameters = parameters
        self._move = move
        self._ratio = ratio

    def begin(self, context: SharedBuffer) -> PushFunction:
        reader = context.reader(self._ratio)

        def push(rows: Tensor, last: bool) -> Tensor:
            return self._move(rows, reader.take(len(rows), self._parameters))

        return push


class EarlyOutputStage(SequentialReach):
    """A :class:`waveflow.bijections.EarlyOutput` in one direction: early channels wait for the
    others.

    Args:
        channels: Number of early channels.
        rest: The stage of the other channels.
    """

    def __init__(self, channels: int, rest: Stage):
        super().__init__([rest])
        self._channels = channels
        self._rest = rest

    def begin(self, context: SharedBuffer) -> PushFunction:
        rest = self._rest.begin(context)
        waiting = DelayLine()

        def push(rows: Tensor, last: bool) -> Tensor:
            waiting.push(rows[:, : self._channels])
            done = rest(rows[:, self._channels :], last)
            return torch.cat([waiting.take(len(done)), done], 1)

        return push

"""Frozen couplings: what is kept waits for its parameters, then the rest moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from waveflow.streaming.linear import Linear
from waveflow.streaming.rows import Line, Push, Queue, Stage

Move = Callable[[Tensor, Tensor], Tensor]
"""Rows (steps, channels) and their parameters (steps, n) -> rows."""


class RowPartition(Protocol):
    """A split of rows into what is kept and what is moved."""

    def split_rows(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Both parts of (steps, channels), of which the first row is that step of the signal."""
        ...

    def merge_rows(self, kept: Tensor, moved: Tensor, step: int) -> Tensor:
        """Undo ``split_rows``."""
        ...


class Moving:
    """A :class:`waveflow.bijections.Coupling` one way, (steps, channels) -> likewise.

    Args:
        partition: of channels.
        conditioner: the frozen network.
        move: how the moved part moves.
    """

    def __init__(self, partition: RowPartition, conditioner: Stage, move: Move):
        self._partition = partition
        self._conditioner = conditioner
        self._move = move

    def begin(self, context: Line) -> Push:
        read = self._conditioner.begin(context)
        waiting = Queue()
        come = gone = 0

        def push(rows: Tensor, last: bool) -> Tensor:
            nonlocal come, gone
            waiting.push(rows)
            kept, _ = self._partition.split_rows(rows, come)
            parameters = read(kept, last)
            kept, moved = self._partition.split_rows(waiting.take(len(parameters)), gone)
            moved = self._move(moved, parameters)
            come, gone = come + len(rows), gone + len(parameters)
            return self._partition.merge_rows(kept, moved, gone - len(parameters))

        return push

    def ready(self, steps: int) -> int:
        return self._conditioner.ready(steps)

    def needs(self, step: int) -> int:
        return self._conditioner.needs(step)


class ContextMoving:
    """A :class:`waveflow.bijections.ContextAffine` one way.

    Args:
        parameters: of the context's rows; None if these are parameters.
        move: how the data moves.
        ratio: steps for each row of the context.
    """

    def __init__(self, parameters: Linear | None, move: Move, ratio: int):
        self._parameters = parameters
        self._move = move
        self._ratio = ratio

    def begin(self, context: Line) -> Push:
        reader = context.reader(self._ratio)

        def push(rows: Tensor, last: bool) -> Tensor:
            return self._move(rows, reader.take(len(rows), self._parameters))

        return push

    def ready(self, steps: int) -> int:
        return steps

    def needs(self, step: int) -> int:
        return step


class Early:
    """A :class:`waveflow.bijections.EarlyOutput` one way: early channels wait for the rest.

    Args:
        channels: how many leave early.
        rest: what the others go through.
    """

    def __init__(self, channels: int, rest: Stage):
        self._channels = channels
        self._rest = rest

    def begin(self, context: Line) -> Push:
        rest = self._rest.begin(context)
        waiting = Queue()

        def push(rows: Tensor, last: bool) -> Tensor:
            waiting.push(rows[:, : self._channels])
            done = rest(rows[:, self._channels :], last)
            return torch.cat([waiting.take(len(done)), done], 1)

        return push

    def ready(self, steps: int) -> int:
        return self._rest.ready(steps)

    def needs(self, step: int) -> int:
        return self._rest.needs(step)

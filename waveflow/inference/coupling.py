"""Frozen couplings: what is kept waits for its parameters, then the rest moves."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.bijections import Checkerboard, Elementwise, Partition
from waveflow.inference.linear import Linear
from waveflow.inference.rows import Line, Push, Queue, Stage


class Moving:
    """The inverse of a :class:`waveflow.bijections.Coupling`, (steps, channels) -> likewise.

    Args:
        partition: of channels.
        conditioner: the frozen network.
        elementwise: how the moved part moves.
    """

    def __init__(self, partition: Partition, conditioner: Stage, elementwise: Elementwise):
        self._partition = partition
        self._conditioner = conditioner
        self._elementwise = elementwise

    def begin(self, context: Line) -> Push:
        read = self._conditioner.begin(context)
        waiting = Queue()
        come = gone = 0

        def push(rows: Tensor, last: bool) -> Tensor:
            nonlocal come, gone
            waiting.push(rows)
            kept, _ = _split(self._partition, rows, come)
            parameters = read(kept, last)
            kept, moved = _split(self._partition, waiting.take(len(parameters)), gone)
            moved = self._elementwise.inverse(moved, parameters)
            come, gone = come + len(rows), gone + len(parameters)
            return _merge(self._partition, kept, moved, gone - len(parameters))

        return push

    def ready(self, steps: int) -> int:
        return self._conditioner.ready(steps)

    def needs(self, step: int) -> int:
        return self._conditioner.needs(step)


class ContextMoving:
    """The inverse of a :class:`waveflow.bijections.ContextAffine`.

    Args:
        parameters: of the context's rows.
        elementwise: how the data moves.
        ratio: steps for each row of the context.
    """

    def __init__(self, parameters: Linear, elementwise: Elementwise, ratio: int):
        self._parameters = parameters
        self._elementwise = elementwise
        self._ratio = ratio

    def begin(self, context: Line) -> Push:
        reader = context.reader(self._ratio)

        def push(rows: Tensor, last: bool) -> Tensor:
            return self._elementwise.inverse(rows, reader.take(len(rows), self._parameters))

        return push

    def ready(self, steps: int) -> int:
        return steps

    def needs(self, step: int) -> int:
        return step


class Early:
    """The inverse of a :class:`waveflow.bijections.EarlyOutput`: early channels wait for the rest.

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


def _split(partition: Partition, rows: Tensor, position: int) -> tuple[Tensor, Tensor]:
    """``partition.split`` of rows of which the first is step ``position``."""
    if not isinstance(partition, Checkerboard):
        return partition.split(rows)
    kept, moved = _at(partition, position).split(rows.T[None])
    return kept[0].T, moved[0].T


def _merge(partition: Partition, kept: Tensor, moved: Tensor, position: int) -> Tensor:
    if not isinstance(partition, Checkerboard):
        return partition.merge(kept, moved)
    return _at(partition, position).merge(kept.T[None], moved.T[None])[0].T


def _at(partition: Checkerboard, position: int) -> Checkerboard:
    """The same board, seen from another step."""
    return Checkerboard(swap=partition.swap ^ (position % 2 == 1))

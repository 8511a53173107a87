"""Signals on their way through a stream: rows of channels, one a step, earlier ones first.

A stage of a stream is entered by ``begin``, which gives it a state of its own and returns the
function that pushes rows through it: ``push(rows, last) -> rows``. It returns what the rows so far
decide, which may be fewer steps, or none yet; with ``last`` the signal ends, and all that was held
back comes out. A whole signal in one push is the plain computation; there is no other code for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

Push = Callable[[Tensor, bool], Tensor]
"""Rows (steps, channels), or audio (samples,), and whether they are the last -> likewise."""


class Stage(Protocol):
    """A part of a frozen vocoder that rows can be pushed through."""

    def begin(self, context: Line) -> Push:
        """A fresh start; ``context`` is where the context of the rows can be read."""
        ...

    def ready(self, steps: int) -> int:
        """How many steps have come out when ``steps`` have gone in, and more will follow."""
        ...

    def needs(self, step: int) -> int:
        """The first step of the input that a step of the output depends on, far from the start."""
        ...


class ContextStage(Stage, Protocol):
    """A context network as a stage from mel rows (frames, n_mels) to context rows.

    Attributes:
        rate: context rows for each frame.
    """

    rate: int


def form_of(network: object, name: str, *given: Any) -> Any:
    """What the method of that name makes of a network: ``network.name(*given)``.

    Raises:
        TypeError: the network has no such method.
    """
    make = getattr(network, name, None)
    if make is None:
        raise TypeError(
            f"no frozen form is known of {type(network).__name__}: expected a method `{name}`"
        )
    return make(*given)


class Stages:
    """Stages one behind the other."""

    def __init__(self, stages: Sequence[Stage]):
        self.stages = stages

    def begin(self, context: Line) -> Push:
        pushes = [stage.begin(context) for stage in self.stages]

        def push(rows: Tensor, last: bool) -> Tensor:
            for each in pushes:
                rows = each(rows, last)
            return rows

        return push

    def ready(self, steps: int) -> int:
        for stage in self.stages:
            steps = stage.ready(steps)
        return steps

    def needs(self, step: int) -> int:
        for stage in reversed(self.stages):
            step = stage.needs(step)
        return step


class Line:
    """A signal that several readers read, each at its own pace; what all have read is dropped."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None
        self._start = 0
        self._readers: list[Reader] = []

    def push(self, rows: Tensor) -> None:
        """Append (steps, channels)."""
        if self._rows is None:
            self._rows = rows
            return
        stop = self._start + len(self._rows)
        needed = min((reader.next_row for reader in self._readers), default=stop)
        self._rows = torch.cat([self._rows[needed - self._start :], rows])
        self._start = needed

    def reader(self, ratio: int = 1) -> Reader:
        """A reader that makes ``ratio`` steps for each row."""
        reader = Reader(self, ratio)
        self._readers.append(reader)
        return reader

    def between(self, first: int, stop: int) -> Tensor:
        """Rows by their numbers since the start of the signal."""
        if self._rows is None:
            raise ValueError("expected rows to read; none have come")
        return self._rows[first - self._start : stop - self._start]


class Reader:
    """A position in a :class:`Line`, counted in steps of which each row makes ``ratio``."""

    def __init__(self, line: Line, ratio: int):
        self._line = line
        self._ratio = ratio
        self._position = 0

    @property
    def next_row(self) -> int:
        """The first row that is still needed."""
        return self._position // self._ratio

    def take(self, steps: int, transform: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The next steps of the rows, each row repeated; a new tensor if they are transformed.

        Args:
            steps: how many; the rows must have come.
            transform: (rows, channels) -> (rows, channels), of each row on its own.

        Returns:
            (steps, channels).
        """
        rows, skipped = self._rows(steps, transform)
        if self._ratio == 1:
            return rows
        repeated = rows.new_empty(len(rows), self._ratio, rows.shape[1]).copy_(rows[:, None])
        return repeated.flatten(0, 1)[skipped : skipped + steps]

    def take_apart(self, steps: int, transform: Callable[[Tensor], Tensor]) -> Tensor:
        """The next steps of rows that hold their steps side by side.

        Args:
            steps: how many; the rows must have come.
            transform: (rows, channels) -> (rows, ratio * parameters), of each row on its own.

        Returns:
            (steps, parameters).
        """
        rows, skipped = self._rows(steps, transform)
        return rows.view(len(rows) * self._ratio, -1)[skipped : skipped + steps]

    def _rows(self, steps: int, transform: Callable[[Tensor], Tensor] | None) -> tuple[Tensor, int]:
        """The rows of the next steps, and how many steps of the first of them are past."""
        start, stop = self._position, self._position + steps
        first = self.next_row
        rows = self._line.between(first, -(-stop // self._ratio))
        self._position = stop
        return rows if transform is None else transform(rows), start - first * self._ratio


class Queue:
    """Rows that wait for what belongs to them."""

    def __init__(self) -> None:
        self._rows: Tensor | None = None

    def push(self, rows: Tensor) -> None:
        """Append."""
        self._rows = joined(self._rows, rows)

    def take(self, steps: int) -> Tensor:
        """The first ``steps`` rows, which must have come; they leave."""
        if self._rows is None:
            raise ValueError("expected rows to take; none have come")
        taken, self._rows = self._rows[:steps], self._rows[steps:]
        return taken


def joined(held: Tensor | None, rows: Tensor) -> Tensor:
    """What was held back, if anything, then the new rows."""
    return rows if held is None or not len(held) else torch.cat([held, rows])

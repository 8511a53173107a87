"""Streams of rows: a signal is a tensor (steps, channels), and stages process it in pieces.

``begin`` of a stage makes a new state and returns a function ``push(rows, last) -> rows``. Each
call takes the next rows of the input, and returns the next rows of the output as far as the input
so far determines them. There may be fewer of these, or none yet. ``last`` ends the signal, and the
remaining rows come out. A whole signal in one push is the plain computation; there is no other
code for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

PushFunction = Callable[[Tensor, bool], Tensor]
"""Rows (steps, channels) or audio (samples,), and whether they are the last -> rows or audio."""

NO_ROWS = torch.empty(0, dtype=torch.float32, device="cpu")
"""What a buffer of rows of any type holds at first."""


class Reach(Protocol):
    """What the output of a part depends on: its own step alone, unless the part says otherwise."""

    def outputs_after(self, steps: int) -> int:
        """Number of steps of output after ``steps`` of input, if more will follow."""
        return steps

    def first_input_of(self, step: int) -> int:
        """The first step of the input that a step of the output depends on, far from the start."""
        return step


class Stage(Reach, Protocol):
    """A part of a frozen vocoder that rows can be pushed through."""

    def begin(self, context: SharedBuffer) -> PushFunction:
        """Start a signal; the context of its rows is read from ``context``."""
        ...


class ContextStage(Stage, Protocol):
    """A context network as a stage from mel rows (frames, n_mels) to context rows.

    Attributes:
        rate: Context rows for each frame.
    """

    rate: int


def form_of(network: object, name: str, *given: Any) -> Any:
    """A form of a network, made by its method of that name: ``network.name(*given)``.

    Raises:
        TypeError: the network has no such method.
    """
    make = getattr(network, name, None)
    if make is None:
        raise TypeError(
            f"no frozen form is known of {type(network).__name__}: expected a method `{name}`"
        )
    return make(*given)


class SequentialReach:
    """The reach of parts one after another."""

    def __init__(self, parts: Sequence[Reach]):
        self._parts = parts

    def outputs_after(self, steps: int) -> int:
        for part in self._parts:
            steps = part.outputs_after(steps)
        return steps

    def first_input_of(self, step: int) -> int:
        for part in reversed(self._parts):
            step = part.first_input_of(step)
        return step


class SequentialStage(SequentialReach):
    """Stages one after another."""

    def __init__(self, stages: Sequence[Stage]):
        super().__init__(stages)
        self.stages = stages

    def begin(self, context: SharedBuffer) -> PushFunction:
        pushes = [stage.begin(context) for stage in self.stages]

        def push(rows: Tensor, last: bool) -> Tensor:
            for each in pushes:
                rows = each(rows, last)
            return rows

        return push


class SharedBuffer:
    """A signal for several readers, each with its own position; rows that all have read are
    dropped.
    """

    def __init__(self) -> None:
        self._rows = NO_ROWS
        self._start = 0
        self._readers: list[Reader] = []

    def push(self, rows: Tensor) -> None:
        """Append (steps, channels)."""
        stop = self._start + len(self._rows)
        needed = min((reader.next_row for reader in self._readers), default=stop)
        self._rows = joined(self._rows[needed - self._start :], rows)
        self._start = needed

    def reader(self, ratio: int = 1) -> Reader:
        """A new reader, which repeats each row for ``ratio`` steps."""
        reader = Reader(self, ratio)
        self._readers.append(reader)
        return reader

    def between(self, first: int, stop: int) -> Tensor:
        """Rows by their numbers since the start of the signal."""
        return self._rows[first - self._start : stop - self._start]


class Reader:
    """A position in a :class:`SharedBuffer`, in steps; each row lasts ``ratio`` steps."""

    def __init__(self, buffer: SharedBuffer, ratio: int):
        self._buffer = buffer
        self._ratio = ratio
        self._position = 0

    @property
    def next_row(self) -> int:
        """The first row that is still needed."""
        return self._position // self._ratio

    def take(self, steps: int, transform: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The next steps, each row repeated; a new tensor if there is a transform.

        Args:
            steps: Number of steps; their rows must be in the buffer.
            transform: A map of each row, (rows, channels) -> (rows, channels).

        Returns:
            (steps, channels).
        """
        rows, skipped = self._rows(steps, transform)
        if self._ratio == 1:
            return rows
        repeated = rows.new_empty(len(rows), self._ratio, rows.shape[1]).copy_(rows[:, None])
        return repeated.flatten(0, 1)[skipped : skipped + steps]

    def take_apart(self, steps: int, transform: Callable[[Tensor], Tensor]) -> Tensor:
        """The next steps, where a row holds its steps side by side.

        Args:
            steps: Number of steps; their rows must be in the buffer.
            transform: A map of each row, (rows, channels) -> (rows, ratio * parameters).

        Returns:
            (steps, parameters).
        """
        rows, skipped = self._rows(steps, transform)
        return rows.view(len(rows) * self._ratio, -1)[skipped : skipped + steps]

    def _rows(self, steps: int, transform: Callable[[Tensor], Tensor] | None) -> tuple[Tensor, int]:
        """The rows of the next steps, and the number of steps of the first row that were taken."""
        start, stop = self._position, self._position + steps
        first = self.next_row
        rows = self._buffer.between(first, -(-stop // self._ratio))
        self._position = stop
        return rows if transform is None else transform(rows), start - first * self._ratio


class DelayLine:
    """Rows that wait until the output that belongs to them exists; first in, first out."""

    def __init__(self) -> None:
        self._rows = NO_ROWS

    def push(self, rows: Tensor) -> None:
        """Append."""
        self._rows = joined(self._rows, rows)

    def take(self, steps: int) -> Tensor:
        """Remove and return the first ``steps`` rows."""
        taken, self._rows = self._rows[:steps], self._rows[steps:]
        return taken


def joined(held: Tensor, rows: Tensor) -> Tensor:
    """The rows that were held back, if any, then the new ones."""
    return torch.cat([held, rows]) if len(held) else rows


def pulled(push: PushFunction, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    """What comes out of ``push`` for each piece and at the end, as far as it is not empty."""
    piece = None
    for piece in pieces:
        made = push(piece, False)
        if len(made):
            yield made
    if piece is not None:
        made = push(piece[:0], True)
        if len(made):
            yield made

"""The plan of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

ENGINES = ("engine", "plain", "compile", "onnx", "openvino")
"""The engines; :mod:`waveflow.evaluation.bench.engines` describes them."""


class Unavailable(Exception):
    """An engine that is not available on this machine; the text gives the reason."""


@dataclass(frozen=True)
class Case:
    """A synthesis to measure: a row of the table.

    Attributes:
        model: bundled name, folder, or id on the hub.
        engine: one of ``ENGINES``.
        threads: CPU threads.
        batch: mels per call.
        seconds: seconds of audio of each mel.
        consistency: iterations of mel consistency; None is the model's own.
        device: ``cpu`` or ``cuda``.
    """

    model: str
    engine: str
    threads: int
    batch: int
    seconds: float
    consistency: int | None = None
    device: str = "cpu"

    @property
    def process(self) -> tuple[str, int]:
        """The engine and number of threads, which have their own process."""
        return self.engine, self.threads


@dataclass(frozen=True)
class Stream:
    """A streamed synthesis to measure: a row of the second table.

    Attributes:
        case: case with the engine ``engine`` and batch 1.
        frames: mel frames per chunk.
    """

    case: Case
    frames: int


@dataclass(frozen=True)
class Plan:
    """A benchmark of all combinations of the options; streams have the longest length and batch 1.

    Attributes:
        model: bundled name, folder, or id on the hub.
        engines: some of ``ENGINES``.
        threads: numbers of CPU threads.
        batches: numbers of mels per call.
        seconds: lengths of the audio in seconds.
        chunks: numbers of mel frames per chunk of a stream; empty measures no streams.
        rounds: timed calls of each case and stream.
        consistency: iterations of mel consistency; None is the model's own.
        device: ``cpu`` or ``cuda``.
        memory: whether to measure memory.

    Raises:
        ValueError: there is nothing to measure, an engine is unknown, or a number is out of range.
    """

    model: str
    engines: tuple[str, ...] = ("engine", "plain")
    threads: tuple[int, ...] = (1,)
    batches: tuple[int, ...] = (1,)
    seconds: tuple[float, ...] = (2.0, 10.0)
    chunks: tuple[int, ...] = (16, 64)
    rounds: int = 10
    consistency: int | None = None
    device: str = "cpu"
    memory: bool = True

    def __post_init__(self) -> None:
        for engine in self.engines:
            if engine not in ENGINES:
                raise ValueError(f"expected engines among {', '.join(ENGINES)}; got {engine}")
        for name in ("engines", "threads", "batches", "seconds"):
            if not getattr(self, name):
                raise ValueError(f"expected one or more {name}; got none")
        for name in ("threads", "batches", "chunks"):
            if not all(count >= 1 for count in getattr(self, name)):
                raise ValueError(f"expected {name} of 1 or more; got {getattr(self, name)}")
        if not all(0.1 <= length <= 3600 for length in self.seconds):
            raise ValueError(f"expected seconds from 0.1 to 3600; got {self.seconds}")
        if self.rounds < 1:
            raise ValueError(f"expected 1 round or more; got {self.rounds}")

    def cases(self) -> Iterator[Case]:
        """The cases, grouped by engine and number of threads."""
        for engine, threads, batch, seconds in product(
            dict.fromkeys(self.engines),
            dict.fromkeys(self.threads),
            dict.fromkeys(self.batches),
            dict.fromkeys(self.seconds),
        ):
            yield self._case(engine, threads, batch, seconds)

    def streams(self) -> Iterator[Stream]:
        """The streams; none without the engine ``engine``."""
        if "engine" in self.engines:
            for threads, frames in product(dict.fromkeys(self.threads), dict.fromkeys(self.chunks)):
                yield Stream(self._case("engine", threads, 1, max(self.seconds)), frames)

    def _case(self, engine: str, threads: int, batch: int, seconds: float) -> Case:
        return Case(self.model, engine, threads, batch, seconds, self.consistency, self.device)

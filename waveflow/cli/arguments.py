"""Arguments that several commands share, and their parsers."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from waveflow.devices import DEVICES

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder

DEFAULT_MODEL = "ljspeech"


def add_out(parser: ArgumentParser, text: str) -> None:
    """Add ``--out``, a required file or folder that need not exist yet."""
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help=f"{text}; created if missing"
    )


def add_model(parser: ArgumentParser) -> None:
    """Add ``--model``, which ``load_vocoder`` takes."""
    parser.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="bundled name, folder of a model such as RUN/model, or id on the Hugging Face hub "
        "such as user/name (default: %(default)s)",
    )


def add_device(parser: ArgumentParser) -> None:
    """Add ``--device``, which :func:`waveflow.devices.choose_device` takes."""
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="auto",
        help="where to compute; auto is cuda if there is a CUDA device (default: %(default)s)",
    )


def add_temperature(parser: ArgumentParser) -> None:
    """Add ``--temperature``; None is the model's own."""
    parser.add_argument(
        "--temperature",
        type=number(float),
        metavar="T",
        help="standard deviation of the noise that the sound is made from; below 1 is calmer "
        "(default: the model's own)",
    )


def add_consistency(parser: ArgumentParser) -> None:
    """Add ``--consistency``; None is the model's own."""
    parser.add_argument(
        "--consistency",
        type=iterations,
        metavar="N",
        help="iterations that move the sound towards the mel; 0 is the flow alone "
        "(default: the model's own)",
    )


def add_synthesis(parser: ArgumentParser) -> None:
    """Add the options of synthesis: temperature, consistency, seed and device."""
    add_temperature(parser)
    add_consistency(parser)
    parser.add_argument(
        "--seed",
        type=number(int, high=2**64),
        default=0,
        metavar="S",
        help="seed of the noise: the same seed gives the same sound (default: %(default)s)",
    )
    add_device(parser)


def number(kind: type[int] | type[float], *, low: int = 0, high: float = float("inf")) -> Any:
    """A parser of numbers with ``low <= value < high``.

    The parser raises ArgumentTypeError for any other string.
    """
    what = "a whole number" if kind is int else "a number"
    limit = "" if high == float("inf") else f", below {high}"

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value < high:
            raise ArgumentTypeError(f"expected {what} of {low} or more{limit}; got {text}")
        return value

    return parse


def several(kind: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    """A parser of comma-separated values."""

    def parse(text: str) -> tuple[Any, ...]:
        parts = text.split(",")
        if not all(parts):
            raise ArgumentTypeError(f"expected comma-separated values; got {text}")
        return tuple(map(kind, parts))

    return parse


def iterations(text: str) -> float:
    """Parse a number of iterations of mel consistency that a config may have.

    Raises:
        ArgumentTypeError: any other string.
    """
    from waveflow.config import MOST_ITERATIONS  # imported late, because it imports torch

    parsed: float = number(int, high=MOST_ITERATIONS + 1)(text)
    return parsed


def duration(text: str) -> timedelta:
    """Parse a time in ``HH:MM:SS``.

    Raises:
        ArgumentTypeError: any other string.
    """
    match = re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", text)
    if match is None:
        raise ArgumentTypeError(f"expected HH:MM:SS, such as 01:30:00; got {text}")
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def load_vocoder(model: str) -> Vocoder:
    """The vocoder that ``--model`` names, on the CPU.

    Raises:
        ValueError, OSError: there is no model of this name, or its files are not a model.
    """
    from waveflow.vocoder import Vocoder

    return Vocoder.from_pretrained(model)

"""Arguments that commands share, and what becomes of them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder

DEFAULT_MODEL = "ljspeech"


def add_out(parser: ArgumentParser, text: str) -> None:
    """Add ``--out``, a file or folder that must be given and need not be there."""
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help=f"{text}; made if missing"
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
    """Add ``--device``, which ``choose_device`` takes."""
    parser.add_argument(
        "--device",
        choices=("cpu", "cuda", "auto"),
        default="auto",
        help="where to compute; auto is cuda where there is one (default: %(default)s)",
    )


def add_synthesis(parser: ArgumentParser) -> None:
    """Add what synthesis can be told: temperature, consistency, seed and device."""
    parser.add_argument(
        "--temperature",
        type=number(float),
        metavar="T",
        help="standard deviation of the noise that sound is made of; below 1 is calmer "
        "(default: the model's own)",
    )
    parser.add_argument(
        "--consistency",
        type=iterations,
        metavar="N",
        help="iterations that bring the sound nearer to the mel; 0 for the flow alone "
        "(default: the model's own)",
    )
    parser.add_argument(
        "--seed",
        type=number(int, high=2**64),
        default=0,
        metavar="S",
        help="of the noise: the same seed gives the same sound (default: %(default)s)",
    )
    add_device(parser)


def number(kind: type[int] | type[float], *, low: int = 0, high: float = float("inf")) -> Any:
    """A parser of numbers with ``low <= value < high``.

    The parser raises ArgumentTypeError for any other text.
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


def iterations(text: str) -> float:
    """A parser of numbers of iterations of mel consistency, as a config may have them.

    Raises:
        ArgumentTypeError: any other text.
    """
    from waveflow.config import MOST_ITERATIONS  # imported late: it brings torch along

    parsed: float = number(int, high=MOST_ITERATIONS + 1)(text)
    return parsed


def duration(text: str | timedelta) -> timedelta:
    """A parser of times in ``HH:MM:SS``.

    Raises:
        ArgumentTypeError: any other text.
    """
    if isinstance(text, timedelta):  # the parser checks its results by parsing them again
        return text
    match = re.fullmatch(r"(\d{1,4}):([0-5]\d):([0-5]\d)", text)
    if match is None:
        raise ArgumentTypeError(f"expected HH:MM:SS, such as 01:30:00; got {text}")
    hours, minutes, seconds = map(int, match.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def choose_device(name: str) -> str:
    """The device of torch, ``cpu`` or ``cuda``, that a ``--device`` means here.

    Raises:
        ValueError: ``cuda`` where there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("--device cuda: expected a CUDA device; torch sees none")
    return name if name != "auto" else "cuda" if available else "cpu"


def load_vocoder(model: str) -> Vocoder:
    """The vocoder that a ``--model`` names, on the CPU.

    Raises:
        ValueError, OSError: no model of this name, and files that do not make one.
    """
    from waveflow.vocoder import Vocoder

    return Vocoder.from_pretrained(model)

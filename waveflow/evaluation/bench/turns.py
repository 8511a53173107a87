"""Work that is measured in turns, so that what drifts drifts for all."""

from __future__ import annotations

import multiprocessing
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import numpy as np
from tqdm import tqdm

Result = TypeVar("Result")


def in_turns(
    works: Sequence[Callable[[], Result]],
    rounds: int,
    *,
    warm_up: int = 1,
    progress: bool = False,
) -> list[list[Result]]:
    """Call every work once a round, in a random order, and return its results, one a round.

    Args:
        works: what is called.
        rounds: that count.
        warm_up: rounds before them, which do not.
        progress: whether to show it on stderr.
    """
    found: list[list[Result]] = [[] for _ in works]
    turns = list(zip(works, found, strict=True))
    order = random.Random(0)
    for number in tqdm(range(warm_up + rounds), desc="rounds", disable=not progress, leave=False):
        for work, results in order.sample(turns, len(turns)):
            result = work()
            if number >= warm_up:
                results.append(result)
    return found


def speeds(
    made: float, times: Sequence[float], *, gmac_per_s: float, peak: float
) -> dict[str, float]:
    """The speed of a synthesis, its quartiles, and its share of the machine's arithmetic.

    Args:
        made: seconds of audio in a call, all of a batch together.
        times: seconds that the calls took.
        gmac_per_s: billions of multiply-accumulates that a second of audio takes.
        peak: FLOP/s of the best matrix product.
    """
    low, middle, high = np.quantile(made / np.array(times), (0.25, 0.5, 0.75)).tolist()
    return {
        "speed": middle,
        "speed_low": low,
        "speed_high": high,
        "gmac_per_s": gmac_per_s,
        "share_of_peak": 2e9 * gmac_per_s * middle / peak,
    }


def fresh_process() -> ProcessPoolExecutor:
    """A process of its own; a forked one would have what its parent has."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

"""Measure calls in turns, so that drifts of the machine affect all of them equally."""

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
    calls: Sequence[Callable[[], Result]],
    rounds: int,
    *,
    warm_up: int = 1,
    progress: bool = False,
) -> list[list[Result]]:
    """Make every call once per round, in a random order.

    Args:
        calls: functions to call.
        rounds: number of rounds.
        warm_up: number of rounds before, whose results are dropped.
        progress: show progress on stderr.

    Returns:
        For each function, its results in the order of the rounds.
    """
    collected: list[list[Result]] = [[] for _ in calls]
    turns = list(zip(calls, collected, strict=True))
    order = random.Random(0)
    for number in tqdm(range(warm_up + rounds), desc="rounds", disable=not progress, leave=False):
        for call, results in order.sample(turns, len(turns)):
            result = call()
            if number >= warm_up:
                results.append(result)
    return collected


def speeds(
    made: float, times: Sequence[float], *, gmac_per_s: float, peak: float
) -> dict[str, float]:
    """The speed of a synthesis, its quartiles, and its share of the machine's arithmetic.

    Args:
        made: seconds of audio per call, over the whole batch.
        times: durations of the calls in seconds.
        gmac_per_s: billions of multiply-accumulates per second of audio.
        peak: FLOP/s of the fastest matrix product.
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
    """A separate process, spawned, so that it inherits nothing from this one."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))

"""Peak arithmetic of a machine by matrix products, and timing of calls."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import torch

Result = TypeVar("Result")

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
"""Sizes of the square matrices to try."""


def synchronize(device: str) -> None:
    """Wait until a device, such as ``cpu`` or ``cuda:0``, has finished its work."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def timed(call: Callable[[], Result], device: str) -> tuple[Result, float]:
    """The result of one call on an idle device, and the seconds until its work is finished."""
    synchronize(device)
    start = time.perf_counter()
    result = call()
    synchronize(device)
    return result, time.perf_counter() - start


def elapsed(call: Callable[[], object], device: str) -> float:
    """Seconds of one call on an idle device, until its work is finished."""
    return timed(call, device)[1]


def median_seconds(call: Callable[[], object], device: str, *, repeats: int = 7) -> float:
    """Median seconds of a call after two warm-up calls."""
    times = [elapsed(call, device) for _ in range(repeats + 2)]
    return statistics.median(times[2:])


def matmul_peak(device: str, precision: str, *, repeats: int = 7) -> float:
    """FLOP/s of the fastest square matrix product among several sizes.

    Args:
        device: ``cpu`` or ``cuda``.
        precision: ``fp32`` or ``bf16``.
        repeats: timed products of each size; the median counts.
    """
    rates = []
    for size in SIZES[device]:
        a, b = torch.randn(2, size, size, device=device, dtype=DTYPES[precision])
        took = median_seconds(partial(torch.matmul, a, b), device, repeats=repeats)
        rates.append(2 * size**3 / took)
    return max(rates)


def describe_machine(device: str, *, threads: bool = True) -> str:
    """The machine, optionally its number of threads, and torch's version, in one line."""
    name = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    count = f"{torch.get_num_threads()} CPU threads, " if threads else ""
    return f"{device} ({name}), {count}torch {torch.__version__}"

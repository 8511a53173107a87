"""What a machine does at best with a matrix product, and how its work is timed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}
"""Of the square matrices that are tried."""


def synchronize(device: str) -> None:
    """Wait until a device, ``cpu`` or ``cuda``, has done what it was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


def elapsed(work: Callable[[], object], device: str) -> float:
    """Seconds from asking for ``work`` to its being done, nothing else being left to do before."""
    synchronize(device)
    start = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start


def seconds(work: Callable[[], object], device: str, *, repeats: int = 7) -> float:
    """Median time of ``work``, once it is warm."""
    times = [elapsed(work, device) for _ in range(repeats + 2)]
    return statistics.median(times[2:])


def matmul_peak(device: str, precision: str, *, repeats: int = 7) -> float:
    """FLOP/s of the best among square matrix products of several sizes.

    Args:
        device: ``cpu`` or ``cuda``.
        precision: ``fp32`` or ``bf16``.
        repeats: products of each size; the median counts.
    """
    rates = []
    for size in SIZES[device]:
        a, b = torch.randn(2, size, size, device=device, dtype=DTYPES[precision])
        took = seconds(lambda a=a, b=b: a @ b, device, repeats=repeats)  # type: ignore[misc]
        rates.append(2 * size**3 / took)
    return max(rates)


def describe(device: str, *, threads: bool = True) -> str:
    """The machine, its threads if asked for, and torch's version, in a line."""
    name = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    count = f"{torch.get_num_threads()} CPU threads, " if threads else ""
    return f"{device} ({name}), {count}torch {torch.__version__}"

"""What a machine can do at best: the two lines of its roofline."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIZES = {"cpu": (512, 1024, 2048), "cuda": (2048, 4096, 8192)}


def synchronize(device: str) -> None:
    """Wait until a device has done what it was asked for."""
    if device == "cuda":
        torch.cuda.synchronize()


def seconds(work: Callable[[], object], device: str, *, repeats: int = 7) -> float:
    """Median time of ``work``, once it is warm."""
    times = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        work()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def matmul_peak(device: str, precision: str) -> float:
    """FLOP/s of the best among square matrix products of several sizes."""
    rates = []
    for size in SIZES[device]:
        a, b = torch.randn(2, size, size, device=device, dtype=DTYPES[precision])
        rates.append(2 * size**3 / seconds(lambda a=a, b=b: a @ b, device))  # type: ignore[misc]
    return max(rates)


def copy_bandwidth(device: str) -> float:
    """Bytes/s read and written together while half a gigabyte is copied."""
    source = torch.ones(2**27, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / seconds(lambda: target.copy_(source), device)


def describe(device: str) -> str:
    """The machine, its threads and torch's version, in a line."""
    threads = f"{torch.get_num_threads()} CPU threads"
    name = (
        torch.cuda.get_device_name()
        if device == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    return f"{device} ({name}), {threads}, torch {torch.__version__}"


def main() -> None:
    """Print the roofline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(describe(options.device))
    bandwidth = copy_bandwidth(options.device)
    print(f"copy: {bandwidth / 1e9:.1f} GB/s")
    for precision in DTYPES:
        peak = matmul_peak(options.device, precision)
        print(
            f"{precision} matrix product: {peak / 1e9:.0f} GFLOP/s, "
            f"reached from {peak / bandwidth:.1f} FLOP a byte on"
        )


if __name__ == "__main__":
    main()

"""The DCT-IV inside ``Lapped``: one matrix product against an FFT of half the size."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from waveflow.bijections.lapped import dct4
from waveflow.io.markdown import markdown_table

SAMPLES = 256 * 688  # eight seconds at 22 050 Hz
REPEATS = 30


def by_matrix(blocks: Tensor) -> Tensor:
    return blocks @ dct4(blocks.shape[-1], blocks.dtype, blocks.device)


def by_fft(blocks: Tensor) -> Tensor:
    """DCT-IV of size M by a complex FFT of size M / 2 between two twiddles."""
    size = blocks.shape[-1]
    n = torch.arange(size // 2, dtype=torch.float64)
    twiddle = torch.exp(-1j * math.pi / size * (n + 0.125)).to(torch.complex64)
    packed = torch.complex(blocks[..., 0::2].contiguous(), blocks[..., 1::2].flip(-1))
    spectrum = torch.fft.fft(packed * twiddle) * twiddle * math.sqrt(2 / size)
    result = torch.empty_like(blocks)
    result[..., 0::2] = spectrum.real
    result[..., 1::2] = -spectrum.imag.flip(-1)
    return result


def milliseconds(function: Callable[[Tensor], Tensor], blocks: Tensor) -> tuple[float, float]:
    """Median and interquartile range."""
    times = []
    for _ in range(REPEATS + 3):
        start = time.perf_counter()
        function(blocks)
        times.append(1000 * (time.perf_counter() - start))
    low, middle, high = statistics.quantiles(times[3:], n=4)
    return middle, high - low


def main() -> None:
    """Print a table over the sizes in use."""
    rows = []
    for groups in (16, 32, 64, 128, 256, 512):
        blocks = torch.randn(SAMPLES // groups, groups)
        difference = (by_matrix(blocks) - by_fft(blocks)).abs().max().item()
        cells = [
            f"{m:.2f} ± {s:.2f}" for m, s in (milliseconds(f, blocks) for f in (by_matrix, by_fft))
        ]
        rows.append((groups, *cells, f"{difference:.0e}"))
    print(markdown_table(("groups", "matrix, ms", "FFT, ms", "difference"), rows, left=()))


if __name__ == "__main__":
    main()

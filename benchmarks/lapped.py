"""The DCT-IV inside ``LappedTransform``: one matrix product against an FFT of half the size."""

from __future__ import annotations

import math
import statistics
from functools import partial

import torch
from torch import Tensor

from waveflow.bijections.lapped import dct4
from waveflow.evaluation.bench.turns import in_turns
from waveflow.evaluation.peak import elapsed
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


def main() -> None:
    """Print a table over the sizes in use."""
    rows = []
    for groups in (16, 32, 64, 128, 256, 512):
        blocks = torch.randn(SAMPLES // groups, groups)
        difference = (by_matrix(blocks) - by_fft(blocks)).abs().max().item()
        works = [partial(elapsed, partial(f, blocks), "cpu") for f in (by_matrix, by_fft)]
        cells = []
        for times in in_turns(works, REPEATS, warm_up=3):
            low, middle, high = (1000 * took for took in statistics.quantiles(times, n=4))
            cells.append(f"{middle:.2f} ± {high - low:.2f}")
        rows.append((groups, *cells, f"{difference:.0e}"))
    print(markdown_table(("groups", "matrix, ms", "FFT, ms", "difference"), rows, left=()))


if __name__ == "__main__":
    main()

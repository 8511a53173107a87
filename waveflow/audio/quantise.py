"""Quantise audio to 16-bit steps, and dequantise it with noise."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

QUANTUM = 2.0**-15
"""Width of one step of 16-bit audio in [-1, 1)."""


def quantise(audio: Tensor) -> Tensor:
    """Round to the nearest 16-bit step: (..., time) in [-1, 1] -> int16."""
    return (audio / QUANTUM).round().clamp(-(2**15), 2**15 - 1).to(torch.int16)


def dequantise(audio: Tensor, noise: Tensor) -> Tensor:
    """Spread each 16-bit value evenly over its quantum: (..., time) int16 -> float32.

    A density can be arbitrarily high on a lattice; on dequantised audio its mean log is a lower
    bound on the log-probability of the 16-bit values themselves (``docs/theory.md``).

    Args:
        audio: int16 samples, (..., time).
        noise: uniform noise in [0, 1), of the shape of ``audio``.

    >>> dequantise(quantise(torch.tensor([0.25])), torch.tensor([0.5]))
    tensor([0.2500])
    """
    return ((audio.double() + noise.double() - 0.5) * QUANTUM).float()


def fixed_noise(length: int) -> Tensor:
    """Uniform noise in [0, 1) for :func:`dequantise`, (length,), the same at every call.

    Likelihoods measured with it depend on the recording and the model alone.
    """
    return torch.from_numpy(np.random.Generator(np.random.Philox(0)).random(length))

"""Noise that is a function of where it stands, so that no chunking or batching can change it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from waveflow.checks import whole

_LANES = 4  # 64-bit words that Philox makes from one value of its counter


def positional_noise(seed: int, batch: int, length: int, *, start: int = 0) -> Tensor:
    """Standard normal noise whose every value depends on (seed, example, position) alone.

    A counter-based generator (Philox 4x64) gives one 64-bit word a position; its halves are the
    two uniforms of a Box-Muller transform. The result is the same on every device and however
    the positions are cut into calls.

    Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011.

    Args:
        seed: any integer from 0 to 2**64 - 1.
        batch: number of examples; example i of any batch gets the same noise.
        length: number of positions.
        start: first position.

    Returns:
        (batch, length), float64, on the CPU.

    >>> whole = positional_noise(7, 2, 10)
    >>> bool((positional_noise(7, 1, 4, start=5) == whole[:1, 5:9]).all())
    True
    """
    return torch.stack([example_noise(seed, i, length, start=start) for i in range(batch)])


def example_noise(seed: int, example: int, length: int, *, start: int = 0) -> Tensor:
    """The noise of one example of :func:`positional_noise`, (length,), float64, on the CPU.

    Raises:
        ValueError: the seed is out of range.
    """
    seed, example = checked_seed(seed), whole(example, "example")
    skipped = start % _LANES
    key = np.array([seed, example], dtype=np.uint64)
    generator = np.random.Philox(key=key, counter=start // _LANES)
    words = generator.random_raw(skipped + length)[skipped:]
    high, low = words >> np.uint64(32), words & np.uint64(0xFFFFFFFF)
    first, second = (torch.from_numpy((half + 0.5) / 2**32) for half in (high, low))
    return (-2 * first.log_()).sqrt_() * (2 * torch.pi * second).cos_()


def checked_seed(seed: int) -> int:
    """A seed of :func:`positional_noise`.

    Raises:
        ValueError: no whole number, or one out of range.
    """
    seed = whole(seed, "seed")
    if not 0 <= seed < 2**64:
        raise ValueError(f"expected a seed from 0 to 2**64 - 1; got {seed}")
    return seed


def uniform_noise(seed: int, keys: Tensor, length: int) -> Tensor:
    """Uniform noise in [0, 1) whose every value depends on (seed, key, position) alone.

    A counter through the finaliser of SplitMix64, in the wrapping int64 arithmetic that every
    device has: the CPU and a GPU give the same bits.

    Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.

    Args:
        seed: any integer.
        keys: (batch,) int64; a row of noise for each.
        length: number of positions.

    Returns:
        (batch, length), float64, on the device of ``keys``.

    >>> rows = uniform_noise(7, torch.tensor([3, 4]), 5)
    >>> bool((rows[1:, :3] == uniform_noise(7, torch.tensor([4]), 3)).all())
    True
    """
    seed = whole(seed, "seed")
    positions = torch.arange(1, length + 1, device=keys.device)
    start = _mix(_mix(torch.full_like(keys, _signed(seed))) + keys)
    words = _mix(start[:, None] + _signed(0x9E3779B97F4A7C15) * positions)
    return _unsigned_shift(words, 11).double() / 2**53


def _mix(words: Tensor) -> Tensor:
    """The finaliser of SplitMix64: a bijection of 64-bit words under which neighbours part."""
    words = (words ^ _unsigned_shift(words, 30)) * _signed(0xBF58476D1CE4E5B9)
    words = (words ^ _unsigned_shift(words, 27)) * _signed(0x94D049BB133111EB)
    return words ^ _unsigned_shift(words, 31)


def _unsigned_shift(words: Tensor, bits: int) -> Tensor:
    return (words >> bits) & (2 ** (64 - bits) - 1)


def _signed(word: int) -> int:
    """The int64 of the same 64 bits."""
    return (word + 2**63) % 2**64 - 2**63

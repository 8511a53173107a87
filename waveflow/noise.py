"""Noise as a function of position, so that it does not depend on chunks or batches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from waveflow.checks import whole


def positional_noise(
    seed: int,
    batch: int,
    length: int,
    *,
    start: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Standard normal noise whose every value depends on (seed, example, position) alone.

    The finaliser of SplitMix64 maps a counter to one 64-bit word for each position, in the wrapping
    int64 arithmetic of every device. The halves of the word are the two uniforms of a Box-Muller
    transform. So the result does not depend on how the positions are divided into calls. It is the
    same on every device, up to the last bit of float64.

    Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.

    Args:
        seed: The seed, an integer from 0 to 2**64 - 1.
        batch: Number of examples; example i of every batch has the same noise.
        length: Number of positions.
        start: The first position.
        device: The device of the result.

    Returns:
        The noise, (batch, length), float64.

    Raises:
        ValueError: the seed is out of range.

    >>> whole = positional_noise(7, 2, 10)
    >>> bool((positional_noise(7, 1, 4, start=5) == whole[:1, 5:9]).all())
    True
    """
    return noise_of(seed, range(batch), length, start=start, device=device)


def noise_of(
    seed: int,
    examples: Sequence[int],
    length: int,
    *,
    start: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor:
    """The noise of some examples of :func:`positional_noise`, (len(examples), length), float64.

    Raises:
        ValueError: the seed is out of range.
    """
    first = _mix_number(checked_seed(seed) ^ _NORMAL)
    starts = [_signed(_mix_number(first + whole(example, "example"))) for example in examples]
    words = _words(torch.tensor(starts, dtype=torch.int64, device=device), length, start=start)
    high, low = _unsigned_shift(words, 32), words & 0xFFFFFFFF
    radius, angle = ((half.double() + 0.5).div_(2**32) for half in (high, low))
    return (-2 * radius.log_()).sqrt_() * angle.mul_(2 * torch.pi).cos_()


def checked_seed(seed: int) -> int:
    """A seed of :func:`positional_noise`, checked.

    Raises:
        ValueError: not a whole number, or out of range.
    """
    seed = whole(seed, "seed")
    if not 0 <= seed < 2**64:
        raise ValueError(f"expected a seed from 0 to 2**64 - 1; got {seed}")
    return seed


def uniform_noise(seed: int, keys: Tensor, length: int) -> Tensor:
    """Uniform noise in [0, 1) whose every value depends on (seed, key, position) alone.

    The finaliser of SplitMix64 maps a counter to 64-bit words, in the wrapping int64 arithmetic of
    every device, so a CPU and a GPU give the same bits.

    Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014.

    Args:
        seed: The seed, any integer.
        keys: Key of each row of noise, (batch,), int64.
        length: Number of positions.

    Returns:
        The noise, (batch, length), float64, on the device of ``keys``.

    >>> rows = uniform_noise(7, torch.tensor([3, 4]), 5)
    >>> bool((rows[1:, :3] == uniform_noise(7, torch.tensor([4]), 3)).all())
    True
    """
    seed = whole(seed, "seed")
    starts = _mix(_mix(torch.full_like(keys, _signed(seed))) + keys)
    return _unsigned_shift(_words(starts, length), 11).double() / 2**53


_NORMAL = 0xD1B54A32D192ED03
"""Mixed into seeds of normal noise, so that uniform noise of the same seed is independent of it."""


def _words(starts: Tensor, length: int, *, start: int = 0) -> Tensor:
    """64 random bits for each position of each row, (batch,) -> (batch, length)."""
    positions = torch.arange(start + 1, start + length + 1, device=starts.device)
    return _mix(starts[:, None] + _signed(0x9E3779B97F4A7C15) * positions)


def _mix(words: Tensor) -> Tensor:
    """The finaliser of SplitMix64: a bijection of 64-bit words that decorrelates neighbours."""
    words = (words ^ _unsigned_shift(words, 30)) * _signed(0xBF58476D1CE4E5B9)
    words = (words ^ _unsigned_shift(words, 27)) * _signed(0x94D049BB133111EB)
    return words ^ _unsigned_shift(words, 31)


def _mix_number(word: int) -> int:
    """``_mix`` of a number, from 0 to 2**64 - 1."""
    every = 2**64 - 1
    word &= every
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & every
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & every
    return word ^ (word >> 31)


def _unsigned_shift(words: Tensor, bits: int) -> Tensor:
    return (words >> bits) & (2 ** (64 - bits) - 1)


def _signed(word: int) -> int:
    """The int64 with the same 64 bits."""
    return (word + 2**63) % 2**64 - 2**63

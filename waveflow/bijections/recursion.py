"""The recursion of long-term synthesis as compiled loops: in torch it is mostly overhead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

_Array = NDArray[np.floating]
_Function = TypeVar("_Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "reassoc"}}


def _compiled(function: _Function) -> _Function:
    """Compile at the first call; the machine code is kept on disk for later processes."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # nowhere to keep it: no folder of ours or the user's can be written
        return njit(**_OPTIONS)(function)


@_compiled
def synthesise(
    past: _Array,
    z: _Array,
    parameters: _Array,
    low_pass: _Array,
    lags: tuple[int, int],
    kernel_size: int,
    window: int,
    floor: float,
) -> _Array:
    """:meth:`waveflow.bijections.LongTermPredictor.synthesise` of one example.

    All arrays have the same precision.

    Args:
        past: the samples before the first block, (memory,).
        z: (blocks, block).
        parameters: (blocks, n_params).
        low_pass: its taps, (taps,).
        lags: the first lag, and the one after the last.
        kernel_size: taps of the kernel.
        window: samples before a block that are correlated with their past.
        floor: added to the product of two energies.

    Returns:
        The samples before the first block, then those of the blocks, (memory + blocks * block,).
    """
    memory, count, block = len(past), lags[1] - lags[0], z.shape[1]
    shortest = lags[0] - kernel_size // 2
    audio = np.empty(memory + z.size, past.dtype)
    audio[:memory] = past
    low = np.zeros_like(audio)
    _filter(low, audio, low_pass, len(low_pass) - 1, memory)
    correlation = np.empty(count, past.dtype)
    weights = np.zeros(count + 2 * (kernel_size - 1), past.dtype)
    taps = np.empty(count + kernel_size - 1, past.dtype)
    piece = np.empty(shortest, past.dtype)
    for number in range(len(z)):
        begin = memory + number * block
        _correlate(correlation, low, begin, lags, window, floor)
        gain = _weigh(taps, weights, parameters[number], correlation, kernel_size)
        for start in range(begin, begin + block, shortest):
            stop = min(start + shortest, begin + block)
            for i in range(stop - start):
                piece[i] = gain * z[number, start - begin + i]
            _predict(piece, audio, taps, start, stop, shortest)
            audio[start:stop] = piece[: stop - start]
        _filter(low, audio, low_pass, begin, begin + block)
    return audio


@_compiled
def _filter(low: _Array, audio: _Array, low_pass: _Array, start: int, stop: int) -> None:
    """``low[start:stop]`` by the filter read forwards, its last tap on the newest sample."""
    first = start - len(low_pass) + 1
    low[start:stop] = 0
    whole = len(low_pass) - len(low_pass) % 4
    for tap in range(0, whole, 4):
        a, b, c, d = low_pass[tap : tap + 4]
        seen = audio[first + tap : stop + tap + 4 - len(low_pass)]
        for i in range(stop - start):
            low[start + i] += a * seen[i] + b * seen[i + 1] + c * seen[i + 2] + d * seen[i + 3]
    for tap in range(whole, len(low_pass)):
        for i in range(stop - start):
            low[start + i] += low_pass[tap] * audio[first + tap + i]


@_compiled
def _correlate(
    correlation: _Array, low: _Array, begin: int, lags: tuple[int, int], window: int, floor: float
) -> None:
    """Normalised correlations of the ``window`` samples before ``begin`` with their past."""
    count = lags[1] - lags[0]
    newest = low[begin - window : begin]
    past = low[begin - window - lags[1] + 1 : begin - lags[0]]  # longest lag first
    together = np.zeros(count, low.dtype)
    for sample in range(0, window - window % 4, 4):
        a, b, c, d = newest[sample : sample + 4]
        seen = past[sample : sample + count + 3]
        for i in range(count):
            together[i] += a * seen[i] + b * seen[i + 1] + c * seen[i + 2] + d * seen[i + 3]
    for sample in range(window - window % 4, window):
        for i in range(count):
            together[i] += newest[sample] * past[sample + i]
    own = energy = 0.0
    for sample in range(window):
        own += newest[sample] * newest[sample]
        energy += past[sample] * past[sample]
    for i in range(count):
        correlation[count - 1 - i] = together[i] / np.sqrt(max(energy, 0.0) * own + floor)
        if i + 1 < count:
            energy += past[i + window] * past[i + window] - past[i] * past[i]


@_compiled
def _weigh(
    taps: _Array, weights: _Array, parameters: _Array, correlation: _Array, kernel_size: int
) -> float:
    """Set the coefficients of a block; return its gain, exp(g)."""
    count, edge = len(correlation), kernel_size - 1
    kernel = parameters[count : count + kernel_size]
    voicing, sharpness, gain, gain_slope, voicing_slope = parameters[count + kernel_size :]
    highest = -np.inf
    for i in range(count):
        weights[edge + i] = parameters[i] + sharpness * correlation[i]
        highest = max(highest, weights[edge + i])
    total = mean = size = 0.0
    for i in range(count):
        weight = np.exp(weights[edge + i] - highest)
        weights[edge + i] = weight
        total += weight
        mean += weight * correlation[i]
    mean /= total
    for tap in range(kernel_size):
        size += abs(kernel[tap])
    strength = 1 / (1 + np.exp(-(voicing + voicing_slope * mean))) / (total * max(size, 1.0))
    taps[:] = 0
    for tap in range(kernel_size):
        factor = taps.dtype.type(strength * kernel[tap])
        for i in range(len(taps)):
            taps[i] += factor * weights[edge - tap + i]
    return np.exp(gain + gain_slope * mean)


@_compiled
def _predict(
    piece: _Array, audio: _Array, taps: _Array, start: int, stop: int, shortest: int
) -> None:
    """Add to ``piece`` what the past predicts of the samples from ``start`` to ``stop``."""
    whole = len(taps) - len(taps) % 4
    for tap in range(0, whole, 4):
        a, b, c, d = taps[tap : tap + 4]
        seen = audio[start - shortest - tap - 3 : stop - shortest - tap]
        for i in range(stop - start):
            piece[i] += a * seen[i + 3] + b * seen[i + 2] + c * seen[i + 1] + d * seen[i]
    for tap in range(whole, len(taps)):
        for i in range(stop - start):
            piece[i] += taps[tap] * audio[start - shortest - tap + i]

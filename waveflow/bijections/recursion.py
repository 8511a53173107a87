"""The recursion of long-term synthesis, and its gradient, as compiled loops.

In torch, most of their time would be overhead. A name ``to_x`` is the gradient of a loss with
respect to ``x``.
"""

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
    """Compile at the first call; the machine code is cached on disk for later processes."""
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # no cache: neither the package's folder nor the user's is writable
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
) -> tuple[_Array, _Array]:
    """:meth:`waveflow.bijections.LongTermPredictor.synthesise` of one example.

    All arrays have the same precision.

    Args:
        past: The samples before the first block, (memory,).
        z: The blocks, (blocks, block).
        parameters: Parameters of the blocks, (blocks, n_params).
        low_pass: Taps of the low-pass filter, (taps,).
        lags: The first lag, and the last one plus 1.
        kernel_size: Number of taps of the kernel.
        window: Number of samples before a block that are correlated with their past.
        floor: Number added to the product of two energies.

    Returns:
        The samples before the first block and those of the blocks, (memory + blocks * block,);
        and the correlations before every block, (blocks, lags).
    """
    memory, count, block = len(past), lags[1] - lags[0], z.shape[1]
    shortest = lags[0] - kernel_size // 2
    audio = np.empty(memory + z.size, past.dtype)
    audio[:memory] = past
    low = np.zeros_like(audio)
    _filter(low, audio, low_pass, len(low_pass) - 1, memory)
    correlations = np.empty((len(z), count), past.dtype)
    weights = np.zeros(count + 2 * (kernel_size - 1), past.dtype)
    taps = np.empty(count + kernel_size - 1, past.dtype)
    piece = np.empty(shortest, past.dtype)
    for number in range(len(z)):
        begin = memory + number * block
        correlation = correlations[number]
        _correlate(correlation, low, begin, lags, window, floor)
        gain = _weigh(taps, weights, parameters[number], correlation, kernel_size)[0]
        for start in range(begin, begin + block, shortest):
            stop = min(start + shortest, begin + block)
            for i in range(stop - start):
                piece[i] = gain * z[number, start - begin + i]
            _predict(piece, audio, taps, start, stop, shortest)
            audio[start:stop] = piece[: stop - start]
        _filter(low, audio, low_pass, begin, begin + block)
    return audio, correlations


@_compiled
def differentiate(
    slope: _Array,
    audio: _Array,
    correlations: _Array,
    z: _Array,
    parameters: _Array,
    low_pass: _Array,
    lags: tuple[int, int],
    kernel_size: int,
    window: int,
    floor: float,
    through_correlation: bool,
) -> tuple[_Array, _Array, _Array]:
    """The gradient of :func:`synthesise`, by reverse mode.

    Blocks, and pieces of them, are visited from the last to the first.

    Args:
        slope: The gradient with respect to the samples of the blocks, (blocks * block,).
        audio: The samples that ``synthesise`` returned, (memory + blocks * block,).
        correlations: The correlations that ``synthesise`` returned, (blocks * lags,).
        z, parameters, low_pass, lags, kernel_size, window, floor: The arguments of
            ``synthesise``.
        through_correlation: Whether the correlations depend on the samples; if not, they are
            constants.

    Returns:
        The gradients with respect to past, z and parameters, in their shapes.
    """
    memory, count, block = len(audio) - len(slope), lags[1] - lags[0], z.shape[1]
    shortest, reach = lags[0] - kernel_size // 2, count + kernel_size - 1
    edge = len(low_pass) - 1
    low = np.zeros_like(audio)
    _filter(low, audio, low_pass, edge, len(audio))
    to_audio = np.zeros_like(audio)
    to_audio[memory:] = slope
    to_low = np.zeros(len(audio) + edge, audio.dtype)
    filtered = np.empty_like(to_low)
    backwards = low_pass[::-1].copy()
    to_z, to_parameters = np.empty_like(z), np.empty_like(parameters)
    to_correlation = np.empty(count, audio.dtype)
    weights = np.zeros(count + 2 * (kernel_size - 1), audio.dtype)
    taps, to_taps = np.empty(reach, audio.dtype), np.empty(reach, audio.dtype)
    for number in range(len(z) - 1, -1, -1):
        begin = memory + number * block
        if through_correlation:
            _filter(filtered, to_low, backwards, begin + edge, begin + edge + block)
            to_audio[begin : begin + block] += filtered[begin + edge : begin + edge + block]
        own, correlation = parameters[number], correlations[number * count : (number + 1) * count]
        gain, mean, total, size = _weigh(taps, weights, own, correlation, kernel_size)
        oldest_first = _padded(taps[::-1])
        to_taps[:] = 0
        for start in range(begin + (block - 1) // shortest * shortest, begin - 1, -shortest):
            stop = min(start + shortest, begin + block)
            oldest = start - shortest - reach + 1
            to_seen, seen = to_audio[oldest : stop - shortest], audio[oldest : stop - shortest]
            _spread(to_seen, to_taps, to_audio[start:stop], seen, oldest_first)
        to_log_gain = 0.0
        for i in range(block):
            to_z[number, i] = gain * to_audio[begin + i]
            to_log_gain += to_z[number, i] * z[number, i]
        _differentiate_weights(
            to_parameters[number],
            to_correlation,
            to_taps[::-1].copy(),
            to_log_gain,
            weights,
            own,
            correlation,
            kernel_size,
            mean,
            total,
            size,
        )
        if through_correlation:
            _differentiate_correlation(
                to_low, to_correlation, correlation, low, begin, lags, window, floor
            )
    _filter(filtered, to_low, backwards, edge, edge + memory)
    return to_audio[:memory] + filtered[edge : edge + memory], to_z, to_parameters


@_compiled
def _filter(low: _Array, audio: _Array, low_pass: _Array, start: int, stop: int) -> None:
    """Set ``low[start:stop]`` to the filtered audio; the last tap is that of the newest sample."""
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
    products = np.zeros(count, low.dtype)
    for sample in range(0, window - window % 4, 4):
        a, b, c, d = newest[sample : sample + 4]
        seen = past[sample : sample + count + 3]
        for i in range(count):
            products[i] += a * seen[i] + b * seen[i + 1] + c * seen[i + 2] + d * seen[i + 3]
    for sample in range(window - window % 4, window):
        for i in range(count):
            products[i] += newest[sample] * past[sample + i]
    own = energy = 0.0
    for sample in range(window):
        own += newest[sample] * newest[sample]
        energy += past[sample] * past[sample]
    for i in range(count):
        correlation[count - 1 - i] = products[i] / np.sqrt(max(energy, 0.0) * own + floor)
        if i + 1 < count:
            energy += past[i + window] * past[i + window] - past[i] * past[i]


@_compiled
def _weigh(
    taps: _Array, weights: _Array, parameters: _Array, correlation: _Array, kernel_size: int
) -> tuple[float, float, float, float]:
    """Set the coefficients of a block, and the weights of its lags before normalisation.

    Returns:
        The gain, exp(g); the mean correlation; the sum of the weights; and the sum of the kernel's
        absolute values.
    """
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
    return np.exp(gain + gain_slope * mean), mean, total, size


@_compiled
def _predict(
    piece: _Array, audio: _Array, taps: _Array, start: int, stop: int, shortest: int
) -> None:
    """Add to ``piece`` the prediction of the samples from ``start`` to ``stop``."""
    whole = len(taps) - len(taps) % 4
    for tap in range(0, whole, 4):
        a, b, c, d = taps[tap : tap + 4]
        seen = audio[start - shortest - tap - 3 : stop - shortest - tap]
        for i in range(stop - start):
            piece[i] += a * seen[i + 3] + b * seen[i + 2] + c * seen[i + 1] + d * seen[i]
    for tap in range(whole, len(taps)):
        for i in range(stop - start):
            piece[i] += taps[tap] * audio[start - shortest - tap + i]


@_compiled
def _padded(x: _Array) -> _Array:
    """Three zeros before and after, for ``_spread``."""
    padded = np.zeros(len(x) + 6, x.dtype)
    padded[3 : len(x) + 3] = x
    return padded


@_compiled
def _spread(
    to_seen: _Array, to_taps: _Array, to_outputs: _Array, seen: _Array, taps: _Array
) -> None:
    """Add the gradients of ``outputs[i] = sum(taps[j] * seen[i + j] for j in ...)``.

    The taps are padded by ``_padded``.
    """
    count, whole = len(to_taps), len(to_outputs) - len(to_outputs) % 4
    for i in range(0, whole, 4):
        a, b, c, d = to_outputs[i : i + 4]
        part, to_part = seen[i : i + count + 3], to_seen[i : i + count + 3]
        for j in range(count):
            to_taps[j] += a * part[j] + b * part[j + 1] + c * part[j + 2] + d * part[j + 3]
        for j in range(count + 3):
            to_part[j] += a * taps[j + 3] + b * taps[j + 2] + c * taps[j + 1] + d * taps[j]
    for i in range(whole, len(to_outputs)):
        for j in range(count):
            to_taps[j] += to_outputs[i] * seen[i + j]
        for j in range(count):
            to_seen[i + j] += to_outputs[i] * taps[j + 3]


@_compiled
def _differentiate_weights(
    to_parameters: _Array,
    to_correlation: _Array,
    to_taps: _Array,
    to_log_gain: float,
    weights: _Array,
    parameters: _Array,
    correlation: _Array,
    kernel_size: int,
    mean: float,
    total: float,
    size: float,
) -> None:
    """Set the gradients of ``_weigh``; the last arguments are the values that it returned."""
    count, edge = len(correlation), kernel_size - 1
    kernel, to_kernel = parameters[count:], to_parameters[count:]
    voicing, sharpness, _, gain_slope, voicing_slope = parameters[count + kernel_size :]
    strength, divisor = 1 / (1 + np.exp(-(voicing + voicing_slope * mean))), max(size, 1.0)
    to_weights = np.zeros(count, weights.dtype)
    to_strength = 0.0
    for tap in range(kernel_size):
        factor = weights.dtype.type(strength * kernel[tap] / divisor)
        to_tap = 0.0
        for i in range(count):
            to_weights[i] += factor * to_taps[tap + i]
            to_tap += to_taps[tap + i] * weights[edge + i]
        to_tap /= total * divisor
        to_kernel[tap] = strength * to_tap
        to_strength += kernel[tap] * to_tap
    if size >= 1:
        for tap in range(kernel_size):
            to_kernel[tap] -= np.sign(kernel[tap]) * strength * to_strength / divisor
    to_voicing = to_strength * strength * (1 - strength)
    to_mean = to_voicing * voicing_slope + to_log_gain * gain_slope
    common = to_sharpness = 0.0
    for i in range(count):
        to_weights[i] += to_mean * correlation[i]
        common += to_weights[i] * weights[edge + i]
    common /= total
    for i in range(count):
        weight = weights[edge + i] / total
        to_logit = weight * (to_weights[i] - common)
        to_parameters[i] = to_logit
        to_sharpness += to_logit * correlation[i]
        to_correlation[i] = to_logit * sharpness + to_mean * weight
    rest = to_parameters[count + kernel_size :]
    rest[0], rest[1], rest[2] = to_voicing, to_sharpness, to_log_gain
    rest[3], rest[4] = to_log_gain * mean, to_voicing * mean


@_compiled
def _differentiate_correlation(
    to_low: _Array,
    to_correlation: _Array,
    correlation: _Array,
    low: _Array,
    begin: int,
    lags: tuple[int, int],
    window: int,
    floor: float,
) -> None:
    """Add the gradients of ``_correlate``."""
    count = lags[1] - lags[0]
    oldest = begin - window - lags[1] + 1
    newest, to_newest = low[begin - window : begin], to_low[begin - window : begin]
    past, to_past = low[oldest : begin - lags[0]], to_low[oldest : begin - lags[0]]
    to_products, to_energy = np.empty(count, low.dtype), np.empty(count)
    own = energy = to_own = 0.0
    for sample in range(window):
        own += newest[sample] * newest[sample]
        energy += past[sample] * past[sample]
    for i in range(count):
        clamped = max(energy, 0.0)
        product = clamped * own + floor
        to_products[i] = to_correlation[count - 1 - i] / np.sqrt(product)
        to_product = -to_correlation[count - 1 - i] * correlation[count - 1 - i] / (2 * product)
        to_energy[i] = to_product * own if energy >= 0 else 0.0
        to_own += to_product * clamped
        if i + 1 < count:
            energy += past[i + window] * past[i + window] - past[i] * past[i]
    to_square = 0.0
    for i in range(len(past)):
        if i < count:
            to_square += to_energy[i]
        if i >= window:
            to_square -= to_energy[i - window]
        to_past[i] += 2 * to_square * past[i]
    for sample in range(window):
        to_newest[sample] += 2 * to_own * newest[sample]
    _spread(to_past, to_newest, to_products, past, _padded(newest))

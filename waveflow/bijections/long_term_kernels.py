"""The recursion of long-term synthesis and its gradient as GPU kernels, an example a program.

:mod:`waveflow.bijections.recursion` has the same formulas as loops of a CPU. Here every sum over
lags, taps or samples is a tile of at most :data:`CHUNK` columns, added up column by column. Samples
that one step writes and the next one reads pass through memory behind a barrier. A name ``to_x`` is
the gradient of a loss with respect to ``x``.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = tl.constexpr(16)
"""Columns of a tile."""

WARPS = 16
"""Warps of a program: four for each scheduler of a multiprocessor."""


class Kernels(torch.autograd.Function):
    """``LongTermPredictor.synthesise`` and its gradient on a GPU, without a wait of the host."""

    on_cpu = False

    @staticmethod
    def forward(
        ctx: Any,
        past: Tensor,
        z: Tensor,
        parameters: Tensor,
        block: int,
        options: tuple[Tensor, tuple[int, int], int, int, float],
        through_correlation: bool,
    ) -> Tensor:
        low_pass, lags, *sizes = options
        batch, blocks, _ = parameters.shape
        ctx.types = past.dtype, parameters.dtype
        given = (x.detach().to(z.dtype) for x in (past, z, parameters))
        past, z, parameters = (x.clone(memory_format=torch.contiguous_format) for x in given)
        audio = torch.cat([past, z], dim=1)
        low = torch.zeros_like(audio)
        correlations = z.new_empty(batch, blocks, lags[1] - lags[0])
        ctx.block, ctx.memory, ctx.through = block, past.shape[1], through_correlation
        ctx.options = low_pass.to(z), lags, *sizes
        if z.numel():
            _launch(_synthesise, ctx, z, parameters, audio, low, correlations)
        ctx.save_for_backward(z, parameters, audio, low, correlations)
        return audio[:, ctx.memory :].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        z, parameters, audio, low, correlations = ctx.saved_tensors
        to_audio = torch.cat([torch.zeros_like(audio[:, : ctx.memory]), slope], dim=1)
        to_low = torch.zeros_like(audio)
        to_z, to_parameters = torch.empty_like(z), torch.empty_like(parameters)
        gradients = to_audio, to_low, to_z, to_parameters
        if z.numel():
            _launch(_differentiate, ctx, z, parameters, audio, low, correlations, *gradients)
        to_past = to_audio[:, : ctx.memory].to(ctx.types[0])
        return to_past, to_z, to_parameters.to(ctx.types[1]), None, None, None


def run_on(device: torch.device) -> bool:
    """Whether Triton compiles and runs kernels on a device; a warning says why it does not."""
    given = torch.zeros(3, 1, device=device)
    try:
        with torch.cuda.device(device):
            _filter[(1,)](*given, 0, 1, TAPS=1, SAMPLES=1)
    except Exception as error:  # Triton and its compilers raise errors of many classes
        warnings.warn(
            f"{device}: long-term prediction runs on the CPU, because Triton raises "
            f"{type(error).__name__}: {error}",
            stacklevel=2,
        )
        return False
    return True


def _launch(kernel: Any, ctx: Any, *arrays: Tensor) -> None:
    """Run a kernel with one program for each example."""
    low_pass, lags, kernel_size, window, floor = ctx.options
    count, taps = lags[1] - lags[0], len(low_pass)
    shortest, reach = lags[0] - kernel_size // 2, count + kernel_size - 1
    z, parameters = arrays[:2]
    sizes = {
        "MEMORY": ctx.memory,
        "BLOCK": ctx.block,
        "FIRST": lags[0],
        "COUNT": count,
        "KERNEL": kernel_size,
        "WINDOW": window,
        "TAPS": taps,
        "FLOOR": floor,
        "LAGS": triton.next_power_of_2(reach),
        "PIECE": triton.next_power_of_2(min(shortest, ctx.block)),
        "SAMPLES": triton.next_power_of_2(ctx.block),
    }
    if kernel is _differentiate:
        sizes |= {
            "THROUGH": ctx.through,
            "SPAN": triton.next_power_of_2(reach - 1 + min(shortest, ctx.block)),
            "NEWEST": triton.next_power_of_2(window),
            "SEEN": triton.next_power_of_2(window + count - 1),
        }
    scratch = z.new_empty(len(z), 4, reach)
    with torch.cuda.device(z.device) if z.is_cuda else nullcontext():
        kernel[(len(z),)](*arrays, low_pass, scratch, parameters.shape[1], **sizes, num_warps=WARPS)


@triton.jit(do_not_specialize=["blocks"])
def _synthesise(
    z,
    parameters,
    audio,
    low,
    correlations,
    low_pass,
    scratch,
    blocks,
    MEMORY: tl.constexpr,
    BLOCK: tl.constexpr,
    FIRST: tl.constexpr,
    COUNT: tl.constexpr,
    KERNEL: tl.constexpr,
    WINDOW: tl.constexpr,
    TAPS: tl.constexpr,
    FLOOR: tl.constexpr,
    LAGS: tl.constexpr,
    PIECE: tl.constexpr,
    SAMPLES: tl.constexpr,
):
    """Set ``audio`` behind its first ``memory`` samples, ``low`` and ``correlations``."""
    example = tl.program_id(0).to(tl.int64)
    time = MEMORY + blocks * BLOCK
    SIZE: tl.constexpr = COUNT + KERNEL + 5
    SHORTEST: tl.constexpr = FIRST - KERNEL // 2
    REACH: tl.constexpr = COUNT + KERNEL - 1
    z += example * blocks * BLOCK
    parameters += example * blocks * SIZE
    audio += example * time
    low += example * time
    correlations += example * blocks * COUNT
    scratch += example * 4 * REACH
    lag, column = tl.arange(0, LAGS), tl.arange(0, CHUNK)
    piece = tl.arange(0, PIECE)
    for start in range(TAPS - 1, MEMORY, BLOCK):
        _filter(low, audio, low_pass, start, min(start + BLOCK, MEMORY), TAPS, SAMPLES)
    tl.debug_barrier()
    number = 0
    while number < blocks:
        begin = MEMORY + number * BLOCK
        own = parameters + number * SIZE
        products, energy, square = _correlate(low, begin, FIRST, COUNT, WINDOW, LAGS)
        correlation = products / tl.sqrt(energy * square + FLOOR)
        tl.store(correlations + number * COUNT + lag, correlation, mask=lag < COUNT)
        weights, mean = _weigh(own, correlation, COUNT, KERNEL, LAGS)
        _store_taps(scratch, own, weights, mean, COUNT, KERNEL, LAGS)
        gain = tl.exp(tl.load(own + COUNT + KERNEL + 2) + tl.load(own + COUNT + KERNEL + 3) * mean)
        for offset in range(0, BLOCK, SHORTEST):
            inside = (piece < SHORTEST) & (offset + piece < BLOCK)
            at = begin + offset + piece
            predicted = tl.zeros((PIECE, CHUNK), audio.dtype.element_ty)
            for first in range(0, REACH, CHUNK):
                tap = first + column
                a = tl.load(scratch + tap, mask=tap < REACH, other=0.0)
                seen = tl.load(
                    audio + at[:, None] - SHORTEST - tap[None, :],
                    mask=inside[:, None] & (tap < REACH)[None, :],
                    other=0.0,
                )
                predicted += a[None, :] * seen
            excitation = gain * tl.load(z + number * BLOCK + offset + piece, mask=inside, other=0.0)
            tl.store(audio + at, excitation + tl.sum(predicted, 1), mask=inside)
            tl.debug_barrier()
        _filter(low, audio, low_pass, begin, begin + BLOCK, TAPS, SAMPLES)
        tl.debug_barrier()
        number += 1


@triton.jit(do_not_specialize=["blocks"])
def _differentiate(
    z,
    parameters,
    audio,
    low,
    correlations,
    to_audio,
    to_low,
    to_z,
    to_parameters,
    low_pass,
    scratch,
    blocks,
    MEMORY: tl.constexpr,
    BLOCK: tl.constexpr,
    FIRST: tl.constexpr,
    COUNT: tl.constexpr,
    KERNEL: tl.constexpr,
    WINDOW: tl.constexpr,
    TAPS: tl.constexpr,
    FLOOR: tl.constexpr,
    LAGS: tl.constexpr,
    PIECE: tl.constexpr,
    SAMPLES: tl.constexpr,
    THROUGH: tl.constexpr,
    SPAN: tl.constexpr,
    NEWEST: tl.constexpr,
    SEEN: tl.constexpr,
):
    """Set ``to_z`` and ``to_parameters``, and add to ``to_audio``, from the last block on."""
    example = tl.program_id(0).to(tl.int64)
    time = MEMORY + blocks * BLOCK
    SIZE: tl.constexpr = COUNT + KERNEL + 5
    SHORTEST: tl.constexpr = FIRST - KERNEL // 2
    REACH: tl.constexpr = COUNT + KERNEL - 1
    PIECES: tl.constexpr = (BLOCK + SHORTEST - 1) // SHORTEST
    z += example * blocks * BLOCK
    to_z += example * blocks * BLOCK
    parameters += example * blocks * SIZE
    to_parameters += example * blocks * SIZE
    audio += example * time
    to_audio += example * time
    low += example * time
    to_low += example * time
    correlations += example * blocks * COUNT
    scratch += example * 4 * REACH
    lag, column = tl.arange(0, LAGS), tl.arange(0, CHUNK)
    span, sample = tl.arange(0, SPAN), tl.arange(0, SAMPLES)
    valid = lag < COUNT
    number = blocks - 1
    while number >= 0:
        begin = MEMORY + number * BLOCK
        own, to_own = parameters + number * SIZE, to_parameters + number * SIZE
        if THROUGH:
            _unfilter(to_audio, to_low, low_pass, begin, begin + BLOCK, time, TAPS, SAMPLES)
        correlation = tl.load(correlations + number * COUNT + lag, mask=valid, other=0.0)
        weights, mean = _weigh(own, correlation, COUNT, KERNEL, LAGS)
        _store_taps(scratch, own, weights, mean, COUNT, KERNEL, LAGS)

        to_taps = tl.zeros((LAGS, CHUNK), audio.dtype.element_ty)
        for back in range(PIECES):
            start = begin + (PIECES - 1 - back) * SHORTEST
            stop = min(start + SHORTEST, begin + BLOCK)
            oldest = start - SHORTEST - REACH + 1
            to_seen = tl.zeros((SPAN, CHUNK), audio.dtype.element_ty)
            for first in range(0, PIECE, CHUNK):
                at = start + first + column
                to_outputs = tl.load(to_audio + at, mask=at < stop, other=0.0)
                seen = tl.load(
                    audio + at[None, :] - SHORTEST - lag[:, None],
                    mask=(lag < REACH)[:, None] & (at < stop)[None, :],
                    other=0.0,
                )
                to_taps += to_outputs[None, :] * seen
                tap = at[None, :] - SHORTEST - oldest - span[:, None]
                a = tl.load(scratch + tap, mask=(tap >= 0) & (tap < REACH), other=0.0)
                to_seen += to_outputs[None, :] * a
            place = to_audio + oldest + span
            inside = oldest + span < stop - SHORTEST
            before = tl.load(place, mask=inside, other=0.0)
            tl.store(place, before + tl.sum(to_seen, 1), mask=inside)
            tl.debug_barrier()

        gain = tl.exp(tl.load(own + COUNT + KERNEL + 2) + tl.load(own + COUNT + KERNEL + 3) * mean)
        inside = sample < BLOCK
        to_block = gain * tl.load(to_audio + begin + sample, mask=inside, other=0.0)
        tl.store(to_z + number * BLOCK + sample, to_block, mask=inside)
        excitation = tl.load(z + number * BLOCK + sample, mask=inside, other=0.0)
        to_log_gain = tl.sum(to_block * excitation, 0)
        tl.store(scratch + REACH + lag, tl.sum(to_taps, 1), mask=lag < REACH)
        tl.debug_barrier()
        to_correlation = _differentiate_weights(
            to_own,
            own,
            scratch + REACH,
            correlation,
            weights,
            mean,
            to_log_gain,
            COUNT,
            KERNEL,
            LAGS,
        )
        if THROUGH:
            _differentiate_correlation(
                to_low,
                low,
                scratch + 2 * REACH,
                to_correlation,
                correlation,
                begin,
                FIRST,
                COUNT,
                KERNEL,
                WINDOW,
                FLOOR,
                LAGS,
                NEWEST,
                SEEN,
            )
        tl.debug_barrier()
        number -= 1
    if THROUGH:
        for start in range(0, MEMORY, BLOCK):
            _unfilter(
                to_audio, to_low, low_pass, start, min(start + BLOCK, MEMORY), time, TAPS, SAMPLES
            )


@triton.jit
def _filter(low, audio, low_pass, start, stop, TAPS: tl.constexpr, SAMPLES: tl.constexpr):
    """Set ``low[start:stop]`` to the filtered audio; the last tap is that of the newest sample."""
    at = start + tl.arange(0, SAMPLES)
    filtered = tl.zeros((SAMPLES,), audio.dtype.element_ty)
    for tap in range(TAPS):
        seen = tl.load(audio + at - TAPS + 1 + tap, mask=at < stop, other=0.0)
        filtered += tl.load(low_pass + tap) * seen
    tl.store(low + at, filtered, mask=at < stop)


@triton.jit
def _unfilter(
    to_audio, to_low, low_pass, start, stop, time, TAPS: tl.constexpr, SAMPLES: tl.constexpr
):
    """Add to ``to_audio[start:stop]`` the gradient of ``_filter``."""
    at = start + tl.arange(0, SAMPLES)
    added = tl.load(to_audio + at, mask=at < stop, other=0.0)
    for tap in range(TAPS):
        later = at + TAPS - 1 - tap
        slope = tl.load(to_low + later, mask=(at < stop) & (later < time), other=0.0)
        added += tl.load(low_pass + tap) * slope
    tl.store(to_audio + at, added, mask=at < stop)
    tl.debug_barrier()


@triton.jit
def _correlate(
    low,
    begin,
    FIRST: tl.constexpr,
    COUNT: tl.constexpr,
    WINDOW: tl.constexpr,
    LAGS: tl.constexpr,
):
    """Products of the ``WINDOW`` samples before ``begin`` with those one lag earlier, the energies
    of those, (LAGS,), and that of the window.
    """
    lag, column = tl.arange(0, LAGS), tl.arange(0, CHUNK)
    products = tl.zeros((LAGS, CHUNK), low.dtype.element_ty)
    energy = tl.zeros((LAGS, CHUNK), low.dtype.element_ty)
    square = tl.zeros((CHUNK,), low.dtype.element_ty)
    for first in range(0, WINDOW, CHUNK):
        sample = first + column
        at = low + begin - WINDOW + sample
        newest = tl.load(at, mask=sample < WINDOW, other=0.0)
        past = tl.load(
            at[None, :] - FIRST - lag[:, None],
            mask=(lag < COUNT)[:, None] & (sample < WINDOW)[None, :],
            other=0.0,
        )
        products += newest[None, :] * past
        energy += past * past
        square += newest * newest
    return tl.sum(products, 1), tl.sum(energy, 1), tl.sum(square, 0)


@triton.jit
def _weigh(own, correlation, COUNT: tl.constexpr, KERNEL: tl.constexpr, LAGS: tl.constexpr):
    """The weights of the lags, (LAGS,), and their mean correlation."""
    lag = tl.arange(0, LAGS)
    logits = tl.load(own + lag, mask=lag < COUNT, other=0.0)
    logits += tl.load(own + COUNT + KERNEL + 1) * correlation
    logits = tl.where(lag < COUNT, logits, float("-inf"))
    weights = tl.exp(logits - tl.max(logits, 0))
    weights /= tl.sum(weights, 0)
    return weights, tl.sum(weights * correlation, 0)


@triton.jit
def _strength(own, mean, COUNT: tl.constexpr, KERNEL: tl.constexpr):
    """The strength of prediction, and the sum of the kernel's absolute values."""
    size = tl.abs(tl.load(own + COUNT))
    for tap in tl.static_range(1, KERNEL):
        size += tl.abs(tl.load(own + COUNT + tap))
    voicing = tl.load(own + COUNT + KERNEL) + tl.load(own + COUNT + KERNEL + 4) * mean
    return 1 / (1 + tl.exp(-voicing)), size


@triton.jit
def _store_taps(
    scratch, own, weights, mean, COUNT: tl.constexpr, KERNEL: tl.constexpr, LAGS: tl.constexpr
):
    """Set the first ``COUNT + KERNEL - 1`` numbers of ``scratch`` to the coefficients of a block.

    The numbers behind them serve for the weights on the way.
    """
    REACH: tl.constexpr = COUNT + KERNEL - 1
    lag = tl.arange(0, LAGS)
    strength, size = _strength(own, mean, COUNT, KERNEL)
    strength /= tl.maximum(size, 1.0)
    tl.store(scratch + REACH + lag, weights, mask=lag < COUNT)
    tl.debug_barrier()
    taps = tl.zeros((LAGS,), scratch.dtype.element_ty)
    for tap in tl.static_range(KERNEL):
        shifted = lag - tap
        weight = tl.load(
            scratch + REACH + shifted, mask=(shifted >= 0) & (shifted < COUNT), other=0.0
        )
        taps += strength * tl.load(own + COUNT + tap) * weight
    tl.store(scratch + lag, taps, mask=lag < REACH)
    tl.debug_barrier()


@triton.jit
def _differentiate_weights(
    to_own,
    own,
    to_taps,
    correlation,
    weights,
    mean,
    to_log_gain,
    COUNT: tl.constexpr,
    KERNEL: tl.constexpr,
    LAGS: tl.constexpr,
):
    """Set the gradients of the parameters of a block; return that of the correlations, (LAGS,)."""
    lag = tl.arange(0, LAGS)
    valid = lag < COUNT
    rest = own + COUNT + KERNEL
    strength, size = _strength(own, mean, COUNT, KERNEL)
    divisor = tl.maximum(size, 1.0)
    to_weights = tl.zeros((LAGS,), own.dtype.element_ty)
    to_strength = mean * 0
    for tap in tl.static_range(KERNEL):
        slope = tl.load(to_taps + tap + lag, mask=valid, other=0.0)
        kernel = tl.load(own + COUNT + tap)
        to_weights += strength * kernel / divisor * slope
        to_strength += kernel * tl.sum(slope * weights, 0) / divisor
    for tap in tl.static_range(KERNEL):
        slope = tl.load(to_taps + tap + lag, mask=valid, other=0.0)
        kernel = tl.load(own + COUNT + tap)
        sign = tl.where(kernel > 0, 1.0, tl.where(kernel < 0, -1.0, 0.0))
        bound = tl.where(size >= 1, sign * to_strength, 0.0)
        tl.store(to_own + COUNT + tap, strength * (tl.sum(slope * weights, 0) - bound) / divisor)
    to_voicing = to_strength * strength * (1 - strength)
    to_mean = to_voicing * tl.load(rest + 4) + to_log_gain * tl.load(rest + 3)
    to_weights += to_mean * correlation
    to_logits = weights * (to_weights - tl.sum(weights * to_weights, 0))
    tl.store(to_own + lag, to_logits, mask=valid)
    to_rest = to_own + COUNT + KERNEL
    tl.store(to_rest, to_voicing)
    tl.store(to_rest + 1, tl.sum(to_logits * correlation, 0))
    tl.store(to_rest + 2, to_log_gain)
    tl.store(to_rest + 3, to_log_gain * mean)
    tl.store(to_rest + 4, to_voicing * mean)
    return to_logits * tl.load(rest + 1) + to_mean * weights


@triton.jit
def _differentiate_correlation(
    to_low,
    low,
    scratch,
    to_correlation,
    correlation,
    begin,
    FIRST: tl.constexpr,
    COUNT: tl.constexpr,
    KERNEL: tl.constexpr,
    WINDOW: tl.constexpr,
    FLOOR: tl.constexpr,
    LAGS: tl.constexpr,
    NEWEST: tl.constexpr,
    SEEN: tl.constexpr,
):
    """Add to ``to_low`` the gradients of the correlations before ``begin``."""
    REACH: tl.constexpr = COUNT + KERNEL - 1
    lag, column = tl.arange(0, LAGS), tl.arange(0, CHUNK)
    _, energy, square = _correlate(low, begin, FIRST, COUNT, WINDOW, LAGS)
    product = energy * square + FLOOR
    to_product = -to_correlation * correlation / (2 * product)
    to_square = tl.sum(tl.where(lag < COUNT, to_product * energy, 0.0), 0)
    tl.store(scratch + lag, to_correlation / tl.sqrt(product), mask=lag < COUNT)
    tl.store(scratch + REACH + lag, to_product * square, mask=lag < COUNT)
    tl.debug_barrier()
    newest = begin - WINDOW
    sample = tl.arange(0, NEWEST)
    to_newest = tl.zeros((NEWEST, CHUNK), low.dtype.element_ty)
    for first in range(0, COUNT, CHUNK):
        one = first + column
        to_products = tl.load(scratch + one, mask=one < COUNT, other=0.0)
        past = tl.load(
            low + newest + sample[:, None] - FIRST - one[None, :],
            mask=(sample < WINDOW)[:, None] & (one < COUNT)[None, :],
            other=0.0,
        )
        to_newest += to_products[None, :] * past
    inside = sample < WINDOW
    slope = tl.load(to_low + newest + sample, mask=inside, other=0.0) + tl.sum(to_newest, 1)
    slope += 2 * to_square * tl.load(low + newest + sample, mask=inside, other=0.0)
    tl.store(to_low + newest + sample, slope, mask=inside)
    tl.debug_barrier()

    seen = tl.arange(0, SEEN)
    inside = seen < WINDOW + COUNT - 1
    at = newest - FIRST - COUNT + 1 + seen
    past = tl.load(low + at, mask=inside, other=0.0)
    to_past = tl.zeros((SEEN, CHUNK), low.dtype.element_ty)
    for first in range(0, COUNT, CHUNK):
        one = first + column
        to_products = tl.load(scratch + one, mask=one < COUNT, other=0.0)
        to_energy = tl.load(scratch + REACH + one, mask=one < COUNT, other=0.0)
        offset = seen[:, None] - COUNT + 1 + one[None, :]
        pair = (offset >= 0) & (offset < WINDOW) & (one < COUNT)[None, :]
        window = tl.load(low + newest + offset, mask=pair, other=0.0)
        to_past += to_products[None, :] * window
        to_past += tl.where(pair, 2 * to_energy[None, :] * past[:, None], 0.0)
    slope = tl.load(to_low + at, mask=inside, other=0.0) + tl.sum(to_past, 1)
    tl.store(to_low + at, slope, mask=inside)

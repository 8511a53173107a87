"""The long-term predictor's compiled loops as a function that torch differentiates."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from waveflow.bijections.long_term import LongTermPredictor

_Array: TypeAlias = NDArray[np.floating]


class Loops(torch.autograd.Function):
    """``LongTermPredictor.synthesise`` by compiled loops, and its gradient by
    others, a thread an example.

    They take a hundredth of the time of torch. They run on the CPU: another device hands over all
    in one copy, forward as backward, and gets all in one.
    """

    @staticmethod
    def forward(
        ctx: Any, predictor: LongTermPredictor, past: Tensor, z: Tensor, parameters: Tensor
    ) -> Tensor:
        from waveflow.bijections import recursion  # imported late: it brings numba along

        ctx.shape, ctx.block = tuple(parameters.shape[1:]), predictor.block
        ctx.options = predictor._options(z.dtype)
        ctx.through_correlation = predictor.through_correlation
        ctx.threads = min(len(z), torch.get_num_threads())
        inputs = [x.detach().to(z.dtype) for x in (past, z, parameters.flatten(1))]
        ctx.ends = past.shape[1], past.shape[1] + z.shape[1]
        given = torch.cat(inputs, dim=1).cpu()

        def one(given: _Array) -> tuple[_Array, ...]:
            before, z, parameters = np.split(given, ctx.ends)
            return recursion.synthesise(
                before,
                z.reshape(ctx.shape[0], ctx.block),
                parameters.reshape(ctx.shape),
                *ctx.options,
            )

        made = given.new_empty(len(z), ctx.ends[1] + parameters.shape[1] * len(predictor.lags))
        _each(one, made, [given], ctx.threads)
        ctx.save_for_backward(given, made)
        return made[:, slice(*ctx.ends)].to(z.device, copy=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        from waveflow.bijections import recursion

        options = *ctx.options, ctx.through_correlation

        def one(slope: _Array, given: _Array, made: _Array) -> tuple[_Array, ...]:
            before, z, parameters = np.split(given, ctx.ends)
            audio, correlations = np.split(made, [len(before) + len(z)])
            return recursion.differentiate(
                slope,
                audio,
                correlations,
                z.reshape(ctx.shape[0], ctx.block),
                parameters.reshape(ctx.shape),
                *options,
            )

        given, made = ctx.saved_tensors
        result = torch.empty_like(given)
        _each(one, result, [slope.contiguous().cpu(), given, made], ctx.threads)
        past, z, parameters = result.to(slope.device).tensor_split(ctx.ends, dim=1)
        return None, past, z, parameters.reshape(len(slope), *ctx.shape)


def _each(
    one: Callable[..., tuple[_Array, ...]], results: Tensor, inputs: list[Tensor], threads: int
) -> None:
    """Set the rows of ``results`` to what ``one`` makes of those of ``inputs``, put in a line.

    The loops leave Python to other threads meanwhile.
    """
    rows = results.numpy()
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
        made = (pool.map if pool else map)(one, *[x.numpy() for x in inputs])
        for example, parts in enumerate(made):
            np.concatenate([part.ravel() for part in parts], out=rows[example])

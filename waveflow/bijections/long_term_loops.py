"""The compiled loops of long-term synthesis as an operator of torch, with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from waveflow.bijections import recursion

_Array: TypeAlias = NDArray[np.floating]


class Loops(torch.autograd.Function):
    """``LongTermPredictor.synthesise`` and its gradient, with a thread for each example.

    The loops take a hundredth of the time of torch. They run on the CPU. For tensors on another
    device, each direction is one copy to the CPU and one copy back.
    """

    on_cpu = True

    @staticmethod
    def forward(
        ctx: Any,
        past: Tensor,
        z: Tensor,
        parameters: Tensor,
        block: int,
        options: tuple[Any, ...],
        through_correlation: bool,
    ) -> Tensor:
        ctx.shape, ctx.block = tuple(parameters.shape[1:]), block
        ctx.options = options[0].numpy(), *options[1:]
        ctx.through_correlation = through_correlation
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

        count = parameters.shape[1] * len(range(*options[1]))  # correlations
        results = given.new_empty(len(z), ctx.ends[1] + count)
        _each(one, results, [given], ctx.threads)
        ctx.save_for_backward(given, results)
        return results[:, slice(*ctx.ends)].to(z.device, copy=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        options = *ctx.options, ctx.through_correlation

        def one(slope: _Array, given: _Array, results: _Array) -> tuple[_Array, ...]:
            before, z, parameters = np.split(given, ctx.ends)
            audio, correlations = np.split(results, [len(before) + len(z)])
            return recursion.differentiate(
                slope,
                audio,
                correlations,
                z.reshape(ctx.shape[0], ctx.block),
                parameters.reshape(ctx.shape),
                *options,
            )

        given, results = ctx.saved_tensors
        gradients = torch.empty_like(given)
        _each(one, gradients, [slope.contiguous().cpu(), given, results], ctx.threads)
        past, z, parameters = gradients.to(slope.device).tensor_split(ctx.ends, dim=1)
        return past, z, parameters.reshape(len(slope), *ctx.shape), None, None, None


def _each(
    one: Callable[..., tuple[_Array, ...]], results: Tensor, inputs: list[Tensor], threads: int
) -> None:
    """Set each row of ``results`` to the flattened results of ``one`` for that row of ``inputs``.

    The compiled loops release the GIL.
    """
    rows = results.numpy()
    with ThreadPoolExecutor(threads) if threads > 1 else nullcontext() as pool:
        computed = (pool.map if pool else map)(one, *[x.numpy() for x in inputs])
        for example, parts in enumerate(computed):
            np.concatenate([part.ravel() for part in parts], out=rows[example])

"""Backward passes that recompute activations, so that memory does not grow with depth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, singledispatch
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from waveflow.bijections.base import Bijection, Chain, zero_log_det
from waveflow.bijections.coupling import Coupling
from waveflow.bijections.early_output import EarlyOutput
from waveflow.precision import full_precision


class Reversible(Chain):
    r"""A chain that stores only its output for the backward pass.

    A plain chain stores every activation of every block. The backward pass here instead recomputes
    each block's input from its output by ``inverse``, runs the block again on it, and
    differentiates it:

    .. math:: x_i = f_i^{-1}(x_{i+1}), \qquad
              \bar x_i = J_i^\top \bar x_{i+1} + \bar\ell\, \nabla \log|\det J_i|,
              \qquad i = n, \dots, 1 .

    Peak memory is that of one block, for any number of blocks, at the cost of one more evaluation
    of every conditioner. Values and names of parameters are those of the plain chain; gradients
    agree up to the rounding of the inverse. Nested chains and early outputs are taken apart
    (``flatten``), so that blocks are as small as possible.

    Gomez et al., *The Reversible Residual Network* (https://arxiv.org/abs/1707.04585).

    >>> import torch
    >>> from waveflow.bijections import Chain, InvertibleConv1x1, Squeeze
    >>> chain = Chain(Squeeze(8), InvertibleConv1x1(8))
    >>> lean = Reversible(*chain.bijections)
    >>> lean.state_dict().keys() == chain.state_dict().keys()
    True
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled():
            return super().forward(x, context)
        recomputed = _Recomputed()
        total = zero_log_det(x)
        blocks = list(flatten(self))
        for block in blocks:
            is_last = block is blocks[-1]
            x, log_det = _Block.apply(block, recomputed, is_last, x, context, *_trainable(block))
            total = total + log_det
        return x, total


def flatten(bijection: Bijection) -> Iterator[Bijection]:
    """The smallest blocks of a bijection, in order.

    Chains are flattened, and early outputs are distributed over the blocks that follow them:
    ``EarlyOutput(n, Chain(a, b))`` is ``EarlyOutput(n, a)``, then ``EarlyOutput(n, b)``.
    """
    if isinstance(bijection, Chain):
        for part in bijection.bijections:
            yield from flatten(cast(Bijection, part))
    elif isinstance(bijection, EarlyOutput):
        for part in flatten(bijection.rest):
            yield EarlyOutput(bijection.channels, part)
    else:
        yield bijection


class _Recomputed:
    """The activation that the backward pass has recomputed: the output of the next block."""

    x: Tensor


class _Block(torch.autograd.Function):
    """A block as one node of autograd's graph. Only the last one stores its output.

    The backward pass visits the nodes in reverse order, so ``recomputed`` holds the output of each
    when it is visited. The gradients of its parameters are returned at once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        block: Bijection,
        recomputed: _Recomputed,
        is_last: bool,
        x: Tensor,
        context: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.block = block
        ctx.recomputed = recomputed
        ctx.same_autocast = _same_autocast(x.device.type)
        with ctx.same_autocast():
            z, log_det = block(x.detach(), context)
        ctx.save_for_backward(z if is_last else None, context, *parameters)
        return z, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, context, *_ = ctx.saved_tensors
        with ctx.same_autocast():
            step = undo(ctx.block, ctx.recomputed.x if z is None else z, context, *gradients)
        ctx.recomputed.x = step.x
        return None, None, None, step.grad_x, step.grad_context, *step.grad_parameters


class Undone(NamedTuple):
    """A block's input, and the gradients with respect to the block's arguments and parameters."""

    x: Tensor
    grad_x: Tensor
    grad_context: Tensor | None
    grad_parameters: tuple[Tensor | None, ...]


@singledispatch
def undo(
    block: Bijection, z: Tensor, context: Tensor | None, grad_z: Tensor, grad_log_det: Tensor
) -> Undone:
    """Recompute the input of a block from its output, and differentiate the block there.

    This default works for any bijection: it inverts, runs forward again and calls autograd. A
    bijection with a cheaper method registers its own function.

    Args:
        block: The block.
        z: The output of the block, (batch, ...).
        context: The context of the block.
        grad_z: The gradient of the loss with respect to ``z``.
        grad_log_det: The gradient of the loss with respect to ``log_det``, (batch,).
    """
    with torch.no_grad():
        x = block.inverse(z, context)
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        context = _leaf(context)
        z, log_det = block(x, context)
    grad_x, grad_context, grad_parameters = _differentiate(
        block, [x], context, [(z, grad_z), (log_det, grad_log_det)]
    )
    return Undone(x.detach(), _or_zeros(grad_x[0], x), grad_context, grad_parameters)


@undo.register
def _(
    block: Coupling, z: Tensor, context: Tensor | None, grad_z: Tensor, grad_log_det: Tensor
) -> Undone:
    """The kept part is the same on both sides, so the conditioner runs only once."""
    merge = block.partition.merge
    kept, moved_z = block.partition.split(z)
    with torch.enable_grad():
        kept = kept.detach().requires_grad_()
        context = _leaf(context)
        parameters = block.conditioner(kept, context)
        with full_precision(z):
            moved = block.elementwise.inverse(moved_z, parameters.detach())
            moved = moved.detach().requires_grad_()
            moved_z, log_det = block.elementwise(moved, parameters)
    grad_kept_z, grad_moved_z = block.partition.split(grad_z)
    (grad_kept, grad_moved), grad_context, grad_parameters = _differentiate(
        block, [kept, moved], context, [(moved_z, grad_moved_z), (log_det, grad_log_det)]
    )
    grad_kept = grad_kept_z + _or_zeros(grad_kept, kept)
    return Undone(
        merge(kept.detach(), moved.detach()),
        merge(grad_kept, _or_zeros(grad_moved, moved)),
        grad_context,
        grad_parameters,
    )


@undo.register
def _(
    block: EarlyOutput, z: Tensor, context: Tensor | None, grad_z: Tensor, grad_log_det: Tensor
) -> Undone:
    """The early channels and their gradient stay as they are."""
    size = block.channels
    rest = undo(block.rest, z[:, size:], context, grad_z[:, size:], grad_log_det)
    return Undone(
        torch.cat([z[:, :size], rest.x], dim=1),
        torch.cat([grad_z[:, :size], rest.grad_x], dim=1),
        rest.grad_context,
        rest.grad_parameters,
    )


def _differentiate(
    block: Bijection,
    inputs: list[Tensor],
    context: Tensor | None,
    outputs: list[tuple[Tensor, Tensor]],
) -> tuple[list[Tensor | None], Tensor | None, tuple[Tensor | None, ...]]:
    """Gradients with respect to the inputs, the context and the block's parameters."""
    parameters = _trainable(block)
    sources = [*inputs, *([] if context is None else [context]), *parameters]
    reached = [(output, gradient) for output, gradient in outputs if output.requires_grad]
    gradients = torch.autograd.grad(
        [output for output, _ in reached],
        sources,
        [gradient for _, gradient in reached],
        allow_unused=True,
    )
    count = len(inputs)
    grad_context = None if context is None else gradients[count]
    return list(gradients[:count]), grad_context, gradients[len(sources) - len(parameters) :]


def _same_autocast(device: str) -> Callable[[], torch.autocast]:
    """Makes contexts with the mixed precision that holds now, without the cache of cast weights,
    which drops their gradients.
    """
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return partial(torch.autocast, device, dtype, enabled, cache_enabled=False)


def _trainable(block: Bijection) -> list[Tensor]:
    return [parameter for parameter in block.parameters() if parameter.requires_grad]


def _leaf(context: Tensor | None) -> Tensor | None:
    return None if context is None else context.detach().requires_grad_()


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient

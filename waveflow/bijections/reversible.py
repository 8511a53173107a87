"""Backward passes that rebuild what they need, so that memory does not grow with depth."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from waveflow.bijections.base import Bijection, Chain, zero_log_det
from waveflow.bijections.coupling import Coupling
from waveflow.bijections.early_output import EarlyOutput
from waveflow.precision import full_precision


class Reversible(Chain):
    r"""A chain that keeps its output alone for the backward pass.

    A plain chain keeps every activation of every block. A bijection need not: going backwards,
    each block's input is rebuilt from its output by ``inverse``, the block is run again on that,
    differentiated, and forgotten:

    .. math:: x_i = f_i^{-1}(x_{i+1}), \qquad
              \bar x_i = J_i^\top \bar x_{i+1} + \bar\ell\, \nabla \log|\det J_i|,
              \qquad i = n, \dots, 1 .

    Peak memory is that of one block, for any number of them, at one more evaluation of every
    conditioner. Names of parameters and values are those of the plain chain; gradients agree up to
    the rounding of the inverse. Nested chains and early outputs are taken apart
    (``flatten``), so that a block is as small as can be.

    Gomez et al., *The Reversible Residual Network* (https://arxiv.org/abs/1707.04585).

    >>> import torch
    >>> from waveflow.bijections import Chain, InvertibleConv1x1, Polyphase
    >>> chain = Chain(Polyphase(8), InvertibleConv1x1(8))
    >>> lean = Reversible(*chain.bijections)
    >>> lean.state_dict().keys() == chain.state_dict().keys()
    True
    """

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not torch.is_grad_enabled():
            return super().forward(x, context)
        rebuilt = _Rebuilt()
        total = zero_log_det(x)
        blocks = list(flatten(self))
        for block in blocks:
            is_last = block is blocks[-1]
            x, log_det = _Block.apply(block, rebuilt, is_last, x, context, *_trainable(block))
            total = total + log_det
        return x, total


def flatten(bijection: Bijection) -> Iterator[Bijection]:
    """The smallest blocks that a bijection is a chain of, in order.

    Chains are opened, and early outputs shared out among what follows them:
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


class _Rebuilt:
    """What the backward pass has rebuilt so far: the output of the block that is next."""

    x: Tensor


class _Block(torch.autograd.Function):
    """A block as one node of autograd's graph. Only the last one keeps its output.

    The nodes follow one another both ways, so each finds in ``rebuilt`` what the one behind it
    left there, and its parameters' gradients leave at once.
    """

    @staticmethod
    def forward(
        ctx: Any,
        block: Bijection,
        rebuilt: _Rebuilt,
        is_last: bool,
        x: Tensor,
        context: Tensor | None,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        ctx.block = block
        ctx.rebuilt = rebuilt
        ctx.precision = _Precision.now(x.device.type)
        with ctx.precision.again():
            z, log_det = block(x.detach(), context)
        ctx.save_for_backward(z if is_last else None, context, *parameters)
        return z, log_det

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z, context, *_ = ctx.saved_tensors
        with ctx.precision.again():
            step = undo(ctx.block, ctx.rebuilt.x if z is None else z, context, *gradients)
        ctx.rebuilt.x = step.x
        return None, None, None, step.grad_x, step.grad_context, *step.grad_parameters


class Undone(NamedTuple):
    """A block's input, and the gradients with respect to all that went into the block."""

    x: Tensor
    grad_x: Tensor
    grad_context: Tensor | None
    grad_parameters: tuple[Tensor | None, ...]


@singledispatch
def undo(
    block: Bijection, z: Tensor, context: Tensor | None, grad_z: Tensor, grad_log_det: Tensor
) -> Undone:
    """Rebuild the input of a block from its output, and differentiate the block there.

    This, for any bijection, inverts, runs forward again and asks autograd. A bijection that can do
    better registers its own way.

    Args:
        block: the block.
        z: its output, (batch, ...).
        context: its context.
        grad_z: gradient of the loss with respect to ``z``.
        grad_log_det: likewise to its ``log_det``, (batch,).
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
    """The conditioner sees the kept part, which is the same on both sides: it runs but once."""
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
    """The early channels, and their gradient, pass by."""
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


class _Precision(NamedTuple):
    """The mixed precision in force, to be put in force again."""

    device: str
    enabled: bool
    dtype: torch.dtype

    @classmethod
    def now(cls, device: str) -> _Precision:
        return cls(device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))

    def again(self) -> torch.autocast:
        """Without the cache of cast weights, which forgets that gradients are wanted."""
        return torch.autocast(
            self.device, enabled=self.enabled, dtype=self.dtype, cache_enabled=False
        )


def _trainable(block: Bijection) -> list[Tensor]:
    return [parameter for parameter in block.parameters() if parameter.requires_grad]


def _leaf(context: Tensor | None) -> Tensor | None:
    return None if context is None else context.detach().requires_grad_()


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient

"""Whether a module is still what it was when something was computed from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StalenessCheck:
    """Sees every change of a module's parameters, buffers and parts that torch keeps account of.

    That is all but numbers written past autograd, through ``.data`` or by a fused optimiser. Those
    are steps of training: a module in training mode, or with gradients, always counts as changed.

    >>> linear = nn.Linear(2, 2).eval()
    >>> watch = StalenessCheck(linear)
    >>> watch.unchanged()
    True
    >>> _ = nn.init.zeros_(linear.weight)
    >>> watch.unchanged()
    False

    Args:
        module: what to watch.
    """

    def __init__(self, module: nn.Module):
        self._parts = [(part, _contents(part)) for part in module.modules()]
        self._states = [(tensor, _State(tensor)) for tensor in _tensors(module)]
        self._module = module

    def unchanged(self) -> bool:
        """Whether all is still as it was."""
        return (
            not self._module.training
            and all(_same(contents, _contents(part)) for part, contents in self._parts)
            and all(state.is_of(tensor) for tensor, state in self._states)
        )


def _contents(part: nn.Module) -> list[object]:
    return [*part._parameters.values(), *part._buffers.values(), *part._modules.values()]


def _same(one: list[object], other: list[object]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def _tensors(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


class _State:
    """What a tensor was: by torch's count of its changes, or by its numbers if there is no count,
    as of tensors made in inference mode.
    """

    def __init__(self, tensor: Tensor):
        self._count, self._place = _count(tensor), _place(tensor)
        self._numbers = tensor.detach().clone() if self._count is None else None

    def is_of(self, tensor: Tensor) -> bool:
        """Whether the tensor is still that."""
        if (self._count, self._place) != (_count(tensor), _place(tensor)):
            return False
        return self._numbers is None or torch.equal(self._numbers, tensor)


def _count(tensor: Tensor) -> int | None:
    try:
        return tensor._version
    except RuntimeError:  # nothing else tells in every case: data may be exchanged later
        return None


def _place(tensor: Tensor) -> tuple[int, torch.dtype, bool]:
    return tensor.data_ptr(), tensor.dtype, tensor.grad is None

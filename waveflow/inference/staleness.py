"""Whether a module has changed since something was computed from it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StalenessCheck:
    """Detects changes of a module's parameters, buffers and submodules since it was made.

    It compares torch's version counters, so it misses values that are written past autograd,
    through ``.data`` or by a fused optimiser. Fused optimisers run in training, so a module is
    always stale in training mode or if a gradient has been added or removed.

    >>> linear = nn.Linear(2, 2).eval()
    >>> check = StalenessCheck(linear)
    >>> check.is_stale()
    False
    >>> _ = nn.init.zeros_(linear.weight)
    >>> check.is_stale()
    True

    Args:
        module: The module to check.
    """

    def __init__(self, module: nn.Module):
        self._parts = [(part, _contents(part)) for part in module.modules()]
        tensors = [*module.parameters(), *module.buffers()]
        self._states = [(tensor, _State(tensor)) for tensor in tensors]
        self._module = module

    def is_stale(self) -> bool:
        """Whether the module may have changed."""
        return (
            self._module.training
            or any(not _same(contents, _contents(part)) for part, contents in self._parts)
            or any(not state.is_of(tensor) for tensor, state in self._states)
        )


def _contents(part: nn.Module) -> list[object]:
    return [*part._parameters.values(), *part._buffers.values(), *part._modules.values()]


def _same(one: list[object], other: list[object]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


class _State:
    """The state of a tensor: its version, or its values if it has no version, as tensors made in
    inference mode.
    """

    def __init__(self, tensor: Tensor):
        self._version, self._storage = _version(tensor), _storage(tensor)
        self._values = tensor.detach().clone() if self._version is None else None

    def is_of(self, tensor: Tensor) -> bool:
        """Whether the tensor is still in this state."""
        if (self._version, self._storage) != (_version(tensor), _storage(tensor)):
            return False
        return self._values is None or torch.equal(self._values, tensor)


def _version(tensor: Tensor) -> int | None:
    try:
        return tensor._version
    except RuntimeError:  # ``is_inference`` would not do: the data may be exchanged later
        return None


def _storage(tensor: Tensor) -> tuple[int, torch.dtype, bool]:
    return tensor.data_ptr(), tensor.dtype, tensor.grad is None

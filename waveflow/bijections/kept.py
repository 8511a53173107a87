"""Values computed from weights, kept for as long as the weights stay what they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Kept:
    """Calls a function of weights anew when one of them has changed since the last call.

    A weight is compared with a copy, number by number: its version counter would not do, which
    fused optimisers leave as it is. Where the result is to be differentiated, or the weights are
    not on the CPU, where comparing would stall, nothing is kept.

    >>> kept, weight = Kept(), torch.ones(2)
    >>> first = kept(torch.exp, weight)
    >>> kept(torch.exp, weight) is first
    True
    >>> kept(torch.exp, weight.mul_(2)) is first
    False
    """

    def __init__(self) -> None:
        self._weights: tuple[Tensor, ...] = ()
        self._value = torch.empty(0)

    def __call__(self, function: Callable[..., Tensor], *weights: Tensor) -> Tensor:
        """``function(*weights)``, which must depend on nothing else."""
        differentiated = torch.is_grad_enabled() and any(w.requires_grad for w in weights)
        if differentiated or any(w.device.type != "cpu" for w in weights):
            return function(*weights)
        if len(self._weights) != len(weights) or not all(map(_equal, self._weights, weights)):
            with torch.inference_mode(False), torch.no_grad():
                self._weights = tuple(weight.clone() for weight in weights)
                self._value = function(*self._weights)
        return self._value


def _equal(one: Tensor, other: Tensor) -> bool:
    return (one.device, one.dtype) == (other.device, other.dtype) and torch.equal(one, other)

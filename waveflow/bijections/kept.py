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
        # replaced as a whole, so that threads never see one without the other
        self._kept: tuple[tuple[Tensor, ...], Tensor] | None = None

    def __call__(self, function: Callable[..., Tensor], *weights: Tensor) -> Tensor:
        """``function(*weights)``, which must depend on nothing else."""
        differentiated = torch.is_grad_enabled() and any(w.requires_grad for w in weights)
        if differentiated or any(w.device.type != "cpu" for w in weights):
            return function(*weights)
        kept = self._kept
        if kept is None or not all(map(_equal, kept[0], weights)):
            with torch.inference_mode(False), torch.no_grad():
                copies = tuple(weight.clone() for weight in weights)
                kept = self._kept = copies, function(*copies)
        return kept[1]


def _equal(one: Tensor, other: Tensor) -> bool:
    return (one.device, one.dtype) == (other.device, other.dtype) and torch.equal(one, other)

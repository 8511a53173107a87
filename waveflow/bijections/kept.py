"""What is known of a tensor, kept for as long as the tensor stays what it is."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Kept:
    """Calls a function of a weight anew when the weight has changed since the last call.

    The weight is compared with a copy, number by number: its version counter would not do, which
    fused optimisers leave as it is. Where the result is to be differentiated, or the weight is not
    on the CPU and comparing would stall, nothing is kept.

    >>> kept, weight = Kept(), torch.ones(2)
    >>> first = kept(torch.exp, weight)
    >>> kept(torch.exp, weight) is first
    True
    >>> kept(torch.exp, weight.mul_(2)) is first
    False
    """

    def __init__(self) -> None:
        # replaced as a whole, so that threads never see one without the other
        self._kept: tuple[Tensor, Tensor] | None = None

    def __call__(self, function: Callable[[Tensor], Tensor], weight: Tensor) -> Tensor:
        """``function(weight)``, which must depend on nothing else."""
        differentiated = torch.is_grad_enabled() and weight.requires_grad
        if differentiated or weight.device.type != "cpu":
            return function(weight)
        kept = self._kept
        if kept is None or not _equal(kept[0], weight):
            with torch.inference_mode(False), torch.no_grad():
                copy = weight.clone()
                kept = self._kept = copy, function(copy)
        return kept[1]


class Known:
    """The number in a buffer, for which a GPU is waited for once and not at every look.

    It is looked up again when the buffer is another one, or was written to: by anything but
    ``.data``.

    >>> known, buffer = Known(), torch.tensor(3)
    >>> known.read(buffer)
    3
    >>> known.write(buffer, 4)
    >>> known.read(buffer), known.read(buffer.add_(1))
    (4, 5)
    """

    def __init__(self) -> None:
        self._known: tuple[Tensor, int, float] | None = None

    def read(self, buffer: Tensor) -> float:
        """What a tensor without axes holds."""
        if buffer.is_inference():  # it does not count its versions
            return buffer.item()
        known = self._known
        if known is None or known[0] is not buffer or known[1] != buffer._version:
            known = self._known = buffer, buffer._version, buffer.item()
        return known[2]

    def write(self, buffer: Tensor, value: float) -> None:
        """Let it hold another number."""
        with torch.no_grad():
            buffer.fill_(value)
        self._known = buffer, buffer._version, value

    def __deepcopy__(self, memo: object) -> Known:
        return Known()

    def __reduce__(self) -> tuple[type[Known], tuple[()]]:
        return Known, ()


def _equal(one: Tensor, other: Tensor) -> bool:
    return (one.device, one.dtype) == (other.device, other.dtype) and torch.equal(one, other)

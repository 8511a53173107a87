"""The number in a buffer, cached on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor


class CachedScalar:
    """The number in a buffer, cached so that the CPU waits for a GPU once, and not at each read.

    It is read again if the buffer is another tensor, or was written to by anything but ``.data``.

    >>> scalar, buffer = CachedScalar(), torch.tensor(3)
    >>> scalar.read(buffer)
    3
    >>> scalar.write(buffer, 4)
    >>> scalar.read(buffer), scalar.read(buffer.add_(1))
    (4, 5)
    """

    def __init__(self) -> None:
        self._cached: tuple[Tensor, int, float] | None = None

    def read(self, buffer: Tensor) -> float:
        """The number in a tensor without axes."""
        if buffer.is_inference():  # it does not count its versions
            return buffer.item()
        cached = self._cached
        if cached is None or cached[0] is not buffer or cached[1] != buffer._version:
            cached = self._cached = buffer, buffer._version, buffer.item()
        return cached[2]

    def write(self, buffer: Tensor, value: float) -> None:
        """Write another number to the buffer."""
        with torch.no_grad():
            buffer.fill_(value)
        self._cached = buffer, buffer._version, value

    def __deepcopy__(self, memo: object) -> CachedScalar:
        return CachedScalar()

    def __reduce__(self) -> tuple[type[CachedScalar], tuple[()]]:
        return CachedScalar, ()

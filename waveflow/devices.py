"""Where to compute."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DEVICES = ("cpu", "cuda", "auto")
"""What a device may be called."""


def choose_device(name: str) -> str:
    """The device of torch, ``cpu`` or ``cuda``, that a name means on this machine.

    Args:
        name: ``cpu``, ``cuda``, or ``auto``: CUDA where there is one, else the CPU. Other
            accelerators are never chosen: not all of them have float64.

    Raises:
        ValueError: another name, or ``cuda`` where there is none.
    """
    import torch  # imported late: the help of the command line needs the names alone

    if name not in DEVICES:
        raise ValueError(f"device: expected one of {', '.join(DEVICES)}; got {name}")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device cuda: expected a CUDA device; torch sees none")
    return name if name != "auto" else "cuda" if available else "cpu"


@contextmanager
def exact_convolutions(device: torch.device) -> Iterator[None]:
    """Convolutions of float32 in float32, as long as this lasts, on a CUDA device.

    cuDNN rounds their inputs to TF32, which has three digits, unless it is told not to. A bijection
    then undoes what it did by three digits as well.

    Args:
        device: where is computed; nothing changes for others than CUDA.
    """
    if device.type != "cuda":
        yield
        return
    import torch

    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    with _Exact.lock:
        if not _Exact.users:
            _Exact.before = convolutions.fp32_precision
            convolutions.fp32_precision = "ieee"
        _Exact.users += 1
    try:
        yield
    finally:
        with _Exact.lock:
            _Exact.users -= 1
            if not _Exact.users:
                convolutions.fp32_precision = _Exact.before


class _Exact:
    """Who needs exact convolutions: torch's switch is one for all threads."""

    lock = threading.Lock()
    users = 0
    before = ""

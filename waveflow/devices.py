"""Where to compute."""

from __future__ import annotations

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

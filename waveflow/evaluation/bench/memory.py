"""The most memory that a piece of work takes beyond what was taken before."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from types import TracebackType

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Memory:
    """A block whose peak is measured, above what there is when it begins.

    On the CPU that is of the process's resident memory (RSS), whose peak Linux keeps (VmHWM) and
    sets back when asked to; what earlier work has freed is handed back to the system first, as
    far as the C library can, lest it be used again unseen. On a GPU it is of torch's allocator.

    Args:
        device: ``cpu`` or ``cuda``.

    Attributes:
        bytes: the growth, once the block is left; None where the system does not tell.
    """

    def __init__(self, device: str) -> None:
        self.bytes: float | None = None
        self._device = device
        self._before: float | None = None

    def __enter__(self) -> Memory:
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            _hand_back()
            self._before = _resident("VmRSS") if _reset_peak() else None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._device == "cuda":
            peak: float | None = torch.cuda.max_memory_allocated()
        else:
            peak = _resident("VmHWM")
        if self._before is not None and peak is not None:
            self.bytes = max(0.0, peak - self._before)


def _hand_back() -> None:
    """Give freed memory back to the system, where the C library is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if STATUS.exists() else None
    if trim is not None:
        trim(0)


def _reset_peak() -> bool:
    """Whether the peak is now what is resident."""
    try:
        RESET.write_text("5")
    except OSError:
        return False
    return True


def _resident(field: str) -> float | None:
    """Bytes in a field of the process's status."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * float(found[1]) if found else None

"""Measure by how much memory grows at most during a block."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from pathlib import Path

import torch

from waveflow.moved import former_names

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class PeakMemory:
    """A context that measures the peak of memory in its block, above the memory at its start.

    On the CPU it measures the process's resident memory (RSS), whose peak Linux records (VmHWM)
    and can reset. Freed memory is first returned to the system if the C library can do that,
    because its reuse would not be measured. On a GPU it measures torch's allocator.

    Args:
        device: ``cpu`` or ``cuda``.

    Attributes:
        bytes: growth of memory, set at the end of the block; None if the system does not report it.
    """

    def __init__(self, device: str) -> None:
        self.bytes: float | None = None
        self._device = device
        self._before: float | None = None

    def __enter__(self) -> PeakMemory:
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            _return_freed()
            with suppress(OSError):  # only Linux can reset the recorded peak
                RESET.write_text("5")
                self._before = _resident("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        cuda = self._device == "cuda"
        peak = torch.cuda.max_memory_allocated() if cuda else _resident("VmHWM")
        if self._before is not None and peak is not None:
            self.bytes = max(0.0, peak - self._before)


def _return_freed() -> None:
    """Return freed memory to the system; only glibc can do that."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if STATUS.exists() else None
    if trim is not None:
        trim(0)


def _resident(field: str) -> float | None:
    """The bytes in a field of the process's status; None if they are not reported."""
    try:
        match = re.search(rf"^{field}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    except OSError:
        return None
    return 1024 * float(match[1]) if match else None


__getattr__ = former_names(__name__)

"""Handle signals that end a process, so that it can clean up first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Exit status of a process that Ctrl-C has ended, as in shells."""

_LATER = 0.05
"""Seconds until an interrupt during an import is tried again."""


def end_when_interrupted() -> None:
    """Make Ctrl-C end this process at once, without a message.

    Use it while modules load and after the work, when nothing has to be cleaned up. It has no
    effect if Ctrl-C is ignored, or outside the main thread, where Python handles no signals.
    """
    _handle_sigint(_end)


def raise_when_interrupted() -> None:
    """Make Ctrl-C raise KeyboardInterrupt; during an import, after the import.

    Within an import the exception could be lost, or become an ImportError. This function has no
    effect where :func:`end_when_interrupted` has none.
    """
    _handle_sigint(_interrupt)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Make SIGTERM raise KeyboardInterrupt, like Ctrl-C.

    It has no effect outside the main thread, where Python handles no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def loading() -> Iterator[None]:
    """If Ctrl-C raises, make it end the process instead; for imports before any work."""
    raises = signal.getsignal(signal.SIGINT) is _interrupt
    if raises:
        end_when_interrupted()
    try:
        yield
    finally:
        if raises:
            raise_when_interrupted()


def _handle_sigint(handler: object) -> None:
    if threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]


def _end(*_: object) -> None:
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    if hasattr(signal, "setitimer") and _imports(frame):
        signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _LATER)
        return
    raise KeyboardInterrupt


def _imports(frame: FrameType | None) -> bool:
    """Whether a module is being loaded in this frame."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False

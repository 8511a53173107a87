"""Processes that are told to end, and clean up first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""Status of a process that Ctrl-C has ended, as shells have it."""

_LATER = 0.05
"""Seconds until an interrupt that came in the midst of an import is tried again."""


def end_when_interrupted() -> None:
    """From here on Ctrl-C ends this process at once, without a word.

    It is for the time in which modules load, when nothing has to be cleaned up, and for that after
    the work. Nothing changes where Ctrl-C is ignored, nor outside the main thread, where Python
    lets nobody handle signals.
    """
    _handle_sigint(_end)


def raise_when_interrupted() -> None:
    """From here on Ctrl-C raises KeyboardInterrupt; during an import, at the end of it.

    In the midst of an import it may be lost, or become an ImportError. Nothing changes where
    :func:`end_when_interrupted` changes nothing.
    """
    _handle_sigint(_interrupt)


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt, as Ctrl-C does.

    Nothing changes outside the main thread, where Python lets nobody handle signals.
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
    """Where Ctrl-C raises, it ends the process instead; for imports while nothing is unfinished."""
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

"""Output of commands: results on stdout; errors, warnings and notes as lines on stderr."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any

EXPECTED = (ValueError, OSError, ImportError)
"""Errors that the user can fix; they are reported in one line."""


class Undelivered(OSError):
    """The result of a command cannot be written to stdout, so the command stops."""


def deliver(text: str) -> None:
    """Print the result of a command on stdout.

    Raises:
        BrokenPipeError: the reader of stdout has closed it.
        Undelivered: stdout cannot be written; later output to it is discarded.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with delivering():
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def delivering() -> Iterator[None]:
    """A context in which stdout is written to; it raises the errors of :func:`deliver`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        raise Undelivered(error.errno, error.strerror, "stdout") from None


def report(text: str) -> None:
    """Print a summary of finished work on stdout; if stdout fails, only warn.

    Raises:
        BrokenPipeError: the reader of stdout has closed it.
    """
    try:
        deliver(text)
    except Undelivered as error:
        if error.errno != errno.EBADF:  # a closed stdout needs no warning
            say(f"warning: {error.filename}: {error.strerror}")


def report_error(error: Exception, file: Path | None = None) -> None:
    """Print one line about an error on stderr, with the name of its file.

    Args:
        error: the error to report.
        file: file that was being processed; an error that names its own file keeps that name.

    Raises:
        Exception: the error itself if WAVEFLOW_DEBUG is set.
    """
    if os.environ.get("WAVEFLOW_DEBUG"):
        raise error
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"  # not necessarily ``file``
    elif file is not None and not text.startswith(f"{file}: "):
        text = f"{file}: {text}"
    say(f"error: {text}")


def show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print one line about a warning; replaces ``warnings.showwarning``."""
    say(f"warning: {message}")


def say(text: str) -> None:
    """Print a line on stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"waveflow: {' '.join(text.split())}", file=sys.stderr)


def discard_stdout() -> None:
    """Redirect stdout to the null device, so that Python does not report it at exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # stdout has no file descriptor


@contextmanager
def standard_streams() -> Iterator[None]:
    """Open the standard streams that the shell has closed.

    A stdin or stdout that was closed then fails when it is used. If its number stayed free, the
    next opened file would get it, and prints would go into that file. Output that stderr cannot
    take is discarded.
    """
    # stdin and stdout are opened in the wrong direction, so that their use fails
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # open takes the lowest free number
    before = sys.stdout, sys.stderr
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = TextIOWrapper(
            BufferedWriter(_Discarding(2, "w", closefd=False)),
            encoding=getattr(sys.stderr, "encoding", None),
            errors="backslashreplace",
            line_buffering=True,
        )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Discarding(FileIO):
    """A file that discards what it cannot write."""

    def write(self, content: Any) -> int:
        """Write the content, or discard it."""
        try:
            return super().write(content) or 0
        except OSError:
            return len(content)

"""What is told: results on stdout, and a line each of what else there is on stderr."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

EXPECTED = (ValueError, OSError, ImportError)
"""Errors that are the user's to mend: told in one line."""


class Undelivered(OSError):
    """Stdout does not take what a command is asked for; there is no use in going on."""


def deliver(text: str) -> None:
    """Lines on stdout: what a command is asked for.

    Raises:
        BrokenPipeError: nobody reads them any more.
        Undelivered: they cannot be written; nothing is written there from now on.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    with delivering():
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


@contextmanager
def delivering() -> Iterator[None]:
    """Where stdout is written to; errors are those of :func:`deliver`."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up_stdout()
        raise Undelivered(error.errno, error.strerror, "stdout") from None


def report(text: str) -> None:
    """Lines on stdout about work that is done, which is good although they may not be written.

    Raises:
        BrokenPipeError: nobody reads them any more.
    """
    try:
        deliver(text)
    except Undelivered as error:
        if error.errno != errno.EBADF:  # nobody misses what a closed stdout does not get
            say(f"warning: {error.filename}: {error.strerror}")


def tell(error: Exception, file: Path | None = None) -> None:
    """One line about an error, and about the ``file`` that it came with.

    Raises:
        Exception: the error itself if WAVEFLOW_DEBUG is set.
    """
    if os.environ.get("WAVEFLOW_DEBUG"):
        raise error
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"  # which may be another file than ``file``
    elif file is not None and not text.startswith(f"{file}: "):
        text = f"{file}: {text}"
    say(f"error: {text}")


def show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """One line about a warning; takes the place of ``warnings.showwarning``."""
    say(f"warning: {message}")


def say(text: str) -> None:
    """A line on stderr, above the progress bar if there is one."""
    from tqdm import tqdm

    tqdm.write(f"waveflow: {' '.join(text.split())}", file=sys.stderr)


def give_up_stdout() -> None:
    """Keep Python from complaining at exit that stdout is closed."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        pass  # it was no real file


@contextmanager
def standard_streams() -> Iterator[None]:
    """Standard streams that are there, even if the shell has closed them.

    A closed stdin or stdout is one that fails when it is used. Left closed, it would be the next
    file that is opened: what is printed would stand in it. What stderr does not take is lost, and
    does no harm.
    """
    for number, mode in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)):  # to no use, but stderr
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, mode), True)  # it gets the lowest number
    before = sys.stdout, sys.stderr
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None or sys.stderr is sys.__stderr__:
        sys.stderr = TextIOWrapper(
            BufferedWriter(_Careless(2, "w", closefd=False)),
            encoding=getattr(sys.stderr, "encoding", None),
            errors="backslashreplace",
            line_buffering=True,
        )
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Careless(FileIO):
    """A file that takes everything, and loses what it cannot write."""

    def write(self, content: Any) -> int:
        """Write it, or lose it."""
        try:
            return super().write(content) or 0
        except OSError:
            return len(content)

"""What is told: a line each, on stderr."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

EXPECTED = (ValueError, OSError, ImportError)
"""Errors that are the user's to mend: told in one line."""


def tell(error: Exception, file: Path | None = None) -> None:
    """One line about an error, and about the ``file`` that it came with.

    Raises:
        Exception: the error itself if WAVEFLOW_DEBUG is set.
    """
    if os.environ.get("WAVEFLOW_DEBUG"):
        raise error
    text = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    if file is not None and not text.startswith(f"{file}: "):
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

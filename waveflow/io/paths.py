"""Paths that somebody has given."""

from __future__ import annotations

import os
from pathlib import Path


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path that somebody has given; an empty string would be the working folder.

    Raises:
        ValueError: an empty string.

    >>> as_path("out/speech.wav").name
    'speech.wav'
    """
    if os.fspath(path) == "":
        raise ValueError("expected a path; got an empty string")
    return path if isinstance(path, Path) else Path(path)

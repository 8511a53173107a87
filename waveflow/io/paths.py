"""Check paths in arguments."""

from __future__ import annotations

import os
from pathlib import Path


def as_path(path: str | os.PathLike[str]) -> Path:
    """An argument as a path; an empty string is refused, because it means the working folder.

    Raises:
        ValueError: ``path`` is an empty string.

    >>> as_path("out/speech.wav").name
    'speech.wav'
    """
    if os.fspath(path) == "":
        raise ValueError("expected a path; got an empty string")
    return path if isinstance(path, Path) else Path(path)

"""Check paths in arguments, and name them in errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def errors_begin_with(name: object) -> Iterator[None]:
    """Put the path or the name of a file at the start of a ValueError.

    >>> with errors_begin_with("a.yaml"):
    ...     raise ValueError("expected a mel")
    Traceback (most recent call last):
    ...
    ValueError: a.yaml: expected a mel
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None

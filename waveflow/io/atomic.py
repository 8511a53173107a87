"""Write files completely or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from waveflow.io.paths import as_path

_RANDOM = re.compile("[a-z0-9_]{8}")
_LONG = 100
"""Longest name, in bytes, that a temporary name contains; a longer one is replaced by a digest."""
_LONGEST_SUFFIX = 16


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path``, with the same suffix, which is renamed to it at the end.

    If the body raises, the temporary file is removed and an existing file at ``path`` stays.

    Raises:
        ValueError: ``path`` is an empty string.
        OSError: ``path`` cannot be written; names it.
    """
    path = as_path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected a file to write; got a folder", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: expected the folder {path.parent} to exist")
    temporary = temporary_beside(path)
    with errors_name(path, temporary):
        temporary.touch(exist_ok=False)
        try:
            yield temporary
            _flush_to_disk(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a whole file, or leave the existing one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def temporary_beside(path: Path) -> Path:
    """A new path for a temporary file or folder beside ``path``.

    Its name is hidden, has the same suffix, and is not too long if that of ``path`` is not.
    """
    start, suffix = _affixes(path.name)
    return path.parent / f"{start}{secrets.token_hex(4)}{suffix}"


def _affixes(name: str) -> tuple[str, str]:
    """Start and end of a temporary name; eight characters are between them.

    >>> _affixes("speech.wav")
    ('.speech-', '.wav')
    """
    stem, suffix = os.path.splitext(name)
    if len(os.fsencode(suffix)) > _LONGEST_SUFFIX:
        stem, suffix = name, ""
    if len(os.fsencode(name)) > _LONG:
        stem = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{stem}-", suffix


@contextmanager
def errors_name(target: Path, temporary: Path) -> Iterator[None]:
    """In errors of the system, replace the path of a temporary file or folder by its final path.

    Raises:
        OSError: the error of the body, with the path of the target or of a file in it.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # not an error of the system
        named = target
        if error.filename is not None:
            place, hidden = (
                Path(os.path.abspath(os.fsdecode(path))) for path in (error.filename, temporary)
            )
            if not place.is_relative_to(hidden):
                raise  # about another file
            named = target / place.relative_to(hidden)
        raise OSError(error.errno, error.strerror, str(named)) from error


def remove_leftovers(paths: Iterable[str | Path]) -> int:
    """Remove temporary files that killed calls of :func:`atomic_path` have left beside ``paths``.

    Each folder is read once. Temporary files that another process is writing now are also removed.

    Args:
        paths: final paths of the calls; their folders need not exist.

    Returns:
        The number of files removed.
    """
    affixes: dict[Path, set[tuple[str, str]]] = defaultdict(set)
    for path in map(Path, paths):
        affixes[path.parent].add(_affixes(path.name))
    removed = 0
    for folder, wanted in affixes.items():
        for name in os.listdir(folder) if folder.is_dir() else []:
            for stem, suffix in {os.path.splitext(name), (name, "")}:
                if (stem[:-8], suffix) in wanted and _RANDOM.fullmatch(stem[-8:]):
                    (folder / name).unlink(missing_ok=True)
                    removed += 1
    return removed


def _flush_to_disk(path: Path) -> None:
    """Flush a file to the disk, so that its content survives a power failure after the rename."""
    with path.open("rb") as file:
        os.fsync(file.fileno())

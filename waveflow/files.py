"""Files that are either whole or not there."""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = re.compile(r"\.(?P<stem>.+)-[a-z0-9_]{8}(?P<suffix>\.[^.]+)?")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same suffix, which becomes ``path`` at the end.

    If the body raises, nothing is left behind and an older file at ``path`` stays.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: expected the folder {path.parent} to exist")
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp is private, the file need not be
        _flush_to_disk(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | Path, content: bytes | memoryview) -> None:
    """Write a whole file, or leave the old one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def remove_leftovers(paths: Iterable[str | Path]) -> int:
    """Remove what calls of :func:`atomic_path` that were killed have left beside these paths.

    Each folder is read once. What another process is writing at this moment is lost to it, too.

    Args:
        paths: those that calls were to make; their folders need not exist.

    Returns:
        How many files were removed.
    """
    names: dict[Path, set[str]] = defaultdict(set)
    for path in map(Path, paths):
        names[path.parent].add(path.name)
    removed = 0
    for folder, wanted in names.items():
        for name in os.listdir(folder) if folder.is_dir() else []:
            match = _TEMPORARY.fullmatch(name)
            if match and f"{match['stem']}{match['suffix'] or ''}" in wanted:
                (folder / name).unlink(missing_ok=True)
                removed += 1
    return removed


def _flush_to_disk(path: Path) -> None:
    """So that a power failure after the renaming finds the content there, too."""
    with path.open("rb") as file:
        os.fsync(file.fileno())

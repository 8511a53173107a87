"""Files that are either whole or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from waveflow.io.paths import as_path

_RANDOM = re.compile("[a-z0-9_]{8}")
_LONG = 100
"""Bytes of a name to which a temporary one may add some; of a longer one it is a digest."""
_LONGEST_SUFFIX = 16


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path``, of the same suffix, which becomes ``path`` at the end.

    If the body raises, nothing is left behind and an older file at ``path`` stays.

    Raises:
        ValueError: an empty string.
        OSError: ``path`` cannot be written; names it.
    """
    path = as_path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "expected a file to write; got a folder", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path}: expected the folder {path.parent} to exist")
    prefix, suffix = temporary_affixes(path.name)
    temporary: Path | None = None
    try:
        with errors_name(path, prefix):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=suffix)
            os.close(handle)
            temporary = Path(name)
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp is private, the file need not be
            _flush_to_disk(temporary)
            os.replace(temporary, path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a whole file, or leave the old one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def temporary_affixes(name: str) -> tuple[str, str]:
    """What a temporary name for a file or folder begins and ends with, around eight characters.

    The name is hidden, of the same suffix, and not too long wherever ``name`` is not.

    >>> temporary_affixes("speech.wav")
    ('.speech-', '.wav')
    """
    stem, suffix = os.path.splitext(name)
    if len(os.fsencode(suffix)) > _LONGEST_SUFFIX:
        stem, suffix = name, ""
    if len(os.fsencode(name)) > _LONG:
        stem = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return f".{stem}-", suffix


@contextmanager
def errors_name(target: Path, prefix: str) -> Iterator[None]:
    """Errors of the system about a temporary file or folder name what it is to become.

    Args:
        target: what it is to become.
        prefix: of the temporary's name, in the same folder.

    Raises:
        OSError: the same, with the file name of the target, or of what is to be in it.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # not the system's, and in words of its own
        rest = ""
        if error.filename is not None:
            folder = os.path.abspath(target.parent)
            place = os.path.relpath(os.path.abspath(os.fsdecode(error.filename)), folder)
            first, _, rest = place.partition(os.sep)
            if not first.startswith(prefix):
                raise  # another file's
        named = target / rest if rest else target
        raise OSError(error.errno, error.strerror, str(named)) from error


def remove_leftovers(paths: Iterable[str | Path]) -> int:
    """Remove what calls of :func:`atomic_path` that were killed have left beside these paths.

    Each folder is read once. What another process is writing at this moment is lost to it, too.

    Args:
        paths: those that calls were to make; their folders need not exist.

    Returns:
        How many files were removed.
    """
    affixes: dict[Path, set[tuple[str, str]]] = defaultdict(set)
    for path in map(Path, paths):
        affixes[path.parent].add(temporary_affixes(path.name))
    removed = 0
    for folder, wanted in affixes.items():
        for name in os.listdir(folder) if folder.is_dir() else []:
            for stem, suffix in {os.path.splitext(name), (name, "")}:
                if (stem[:-8], suffix) in wanted and _RANDOM.fullmatch(stem[-8:]):
                    (folder / name).unlink(missing_ok=True)
                    removed += 1
    return removed


def _flush_to_disk(path: Path) -> None:
    """So that a power failure after the renaming finds the content there, too."""
    with path.open("rb") as file:
        os.fsync(file.fileno())

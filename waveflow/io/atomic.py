"""Write files completely or not at all."""

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
            temporary.chmod(0o666 & ~umask)  # mkstemp makes a private file
            _flush_to_disk(temporary)
            os.replace(temporary, path)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a whole file, or leave the existing one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def temporary_affixes(name: str) -> tuple[str, str]:
    """Start and end of a temporary name for a file or folder; eight characters are between them.

    The temporary name is hidden, has the same suffix, and is not too long if ``name`` is not.

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
    """In errors of the system, replace the name of a temporary file or folder by its final name.

    Args:
        target: final path of the temporary file or folder.
        prefix: start of the temporary name, in the same folder.

    Raises:
        OSError: the error of the body, with the path of the target or of a file in it.
    """
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # not an error of the system
        rest = ""
        if error.filename is not None:
            folder = os.path.abspath(target.parent)
            place = os.path.relpath(os.path.abspath(os.fsdecode(error.filename)), folder)
            first, _, rest = place.partition(os.sep)
            if not first.startswith(prefix):
                raise  # about another file
        named = target / rest if rest else target
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
    """Flush a file to the disk, so that its content survives a power failure after the rename."""
    with path.open("rb") as file:
        os.fsync(file.fileno())

"""Files that are either whole or not there, and paths that are meant."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

MOST_PIPED = 2**32
"""Bytes that are taken of a pipe, at most."""
_HELD = 2**24  # bytes of a pipe that are in memory; more are on the disk

SOUNDS = (
    *(".wav", ".flac", ".ogg", ".mp3", ".aif", ".aifc", ".aiff", ".au", ".avr", ".caf", ".htk"),
    *(".iff", ".ircam", ".mp2", ".mpc2k", ".nist", ".oga", ".opus", ".paf", ".pvf", ".rf64"),
    *(".sds", ".sf", ".snd", ".sph", ".svx", ".voc", ".w64", ".wave", ".wavex", ".wve", ".xi"),
)
"""Suffixes of recordings that can be read."""

_OTHER_SOUNDS = (
    *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4"),
    *(".mpc", ".pcm", ".ra", ".raw", ".shn", ".spx", ".tta", ".webm", ".wma", ".wv"),
)
_JUNK = {"__macosx", "@eadir", "$recycle.bin"}
_RANDOM = re.compile("[a-z0-9_]{8}")
_LONG = 100
"""Bytes of a name to which a temporary one may add some; of a longer one it is a digest."""
_LONGEST_SUFFIX = 16


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


def write_atomically(path: str | os.PathLike[str], content: bytes | memoryview) -> None:
    """Write a whole file, or leave the old one."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def read_json(path: str | os.PathLike[str]) -> Any:
    """The plain values in a file of JSON.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not JSON; names it.
    """
    path = as_path(path)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON; got something else ({error})") from None


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


def read_text(path: str | Path) -> str:
    r"""The text of a file that people write: UTF-8, with or without a byte order mark.

    Rows end at ``\n``, whether the file ends them by ``\n``, ``\r\n`` or ``\r``.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no such text; names it.
    """
    try:
        return as_path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8; got {error}") from None


def files_below(
    folder: str | Path, suffixes: tuple[str, ...], *, but: Path | None = None
) -> list[Path]:
    """The files of some kinds in the tree below a folder, sorted.

    Links to folders are followed, each folder is read once. What is hidden is left out: names that
    begin with a dot, and the folders that macOS and others put beside what people store. Sounds
    that are left out and are no hidden files are told in one warning.

    Args:
        folder: where to look; may be hidden itself.
        suffixes: of the files, in lower case; theirs may be in any.
        but: a folder to leave out.

    Raises:
        OSError: a folder cannot be read.
    """
    folder = as_path(folder)
    found: list[Path] = []
    left_out: dict[str, list[Path]] = defaultdict(list)
    reached = {os.path.realpath(but)} if but is not None else set()
    waiting: list[Path] = [folder]
    links: list[Path] = []
    while waiting or links:
        here = waiting.pop() if waiting else links.pop(0)  # links last: places have their own names
        place = os.path.realpath(here)
        if place in reached or (here != folder and _leads_back(here, place)):
            continue
        reached.add(place)
        for path in sorted(map(here.joinpath, os.listdir(here))):
            suffix = path.suffix.lower()
            if os.path.isdir(path):
                if not _is_hidden(path.name):
                    (links if path.is_symlink() else waiting).append(path)
                elif _has_files(path, suffixes):
                    left_out["hidden folders"].append(path)
            elif _is_hidden(path.name):
                continue
            elif suffix in suffixes and (path.is_file() or path.is_symlink()):
                found.append(path)
            elif suffix in _OTHER_SOUNDS:
                left_out["files in formats that are not read"].append(path)
            elif path.is_symlink() and not path.exists():
                left_out["links to nothing"].append(path)
    if left_out:
        told = [f"{len(paths)} {what}, such as {paths[0]}" for what, paths in left_out.items()]
        warnings.warn(f"{folder}: left out {'; '.join(told)}", stacklevel=2)
    return sorted(found)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _leads_back(link: Path, place: str) -> bool:
    """Whether a link leads to a folder that it stands in."""
    return link.is_symlink() and link.parent.resolve().is_relative_to(place)


def _has_files(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether there are files of those kinds in a tree, but for hidden ones."""
    return any(
        Path(name).suffix.lower() in suffixes and not _is_hidden(name)
        for _, _, names in os.walk(folder)
        for name in names
    )


def _flush_to_disk(path: Path) -> None:
    """So that a power failure after the renaming finds the content there, too."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def seekable(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to read in any order; a pipe is read once, and its content kept meanwhile.

    Raises:
        OSError: as ``open``.
        ValueError: more than ``MOST_PIPED`` bytes come of a pipe.
    """
    with open(as_path(path), "rb") as file:
        if file.seekable():
            yield file
            return
        with tempfile.SpooledTemporaryFile(_HELD) as copy:
            copy_bounded(file, copy, path)
            copy.seek(0)
            yield copy  # type: ignore[misc]


def copy_bounded(source: BinaryIO, target: IO[bytes], name: object) -> None:
    """Copy all that comes of a pipe.

    Args:
        source: is read to its end.
        target: is written.
        name: of the source, for the error.

    Raises:
        ValueError: more than ``MOST_PIPED`` bytes come.
    """
    left = MOST_PIPED
    while piece := source.read(2**20):
        left -= len(piece)
        if left < 0:
            raise ValueError(f"{name}: expected {MOST_PIPED} bytes at most of a pipe; got more")
        target.write(piece)

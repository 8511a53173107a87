"""Walk folders of recordings and related files."""

from __future__ import annotations

import os
import warnings
from collections import defaultdict
from pathlib import Path

from waveflow.io.paths import as_path

SOUNDS = (
    *(".wav", ".flac", ".ogg", ".mp3", ".aif", ".aifc", ".aiff", ".au", ".avr", ".caf", ".htk"),
    *(".iff", ".ircam", ".mp2", ".mpc2k", ".nist", ".oga", ".opus", ".paf", ".pvf", ".rf64"),
    *(".sds", ".sf", ".snd", ".sph", ".svx", ".voc", ".w64", ".wave", ".wavex", ".wve", ".xi"),
)
"""Suffixes of recordings that can be read."""

WRITABLE = (".wav", ".flac")
"""Suffixes of recordings that can be written."""
MELS = (".npz", ".npy", ".pt")
"""Suffixes of mel spectrograms."""

_OTHER_SOUNDS = (
    *(".3gp", ".aac", ".ac3", ".amr", ".ape", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4"),
    *(".mpc", ".pcm", ".ra", ".raw", ".shn", ".spx", ".tta", ".webm", ".wma", ".wv"),
)
_JUNK = {"__macosx", "@eadir", "$recycle.bin"}


def files_below(
    folder: str | Path, suffixes: tuple[str, ...], *, but: Path | None = None
) -> list[Path]:
    """The files with some suffixes in the tree below a folder, sorted.

    Links to folders are followed, and each folder is read once. Hidden files and folders are left
    out: names that begin with a dot, and folders that macOS and other systems add. One warning
    reports sounds that are left out, except hidden files.

    Args:
        folder: root of the tree; may be hidden itself.
        suffixes: suffixes of the files, in lower case; case is ignored in the tree.
        but: folder to leave out.

    Raises:
        OSError: a folder cannot be read.
    """
    folder = as_path(folder)
    files: list[Path] = []
    left_out: dict[str, list[Path]] = defaultdict(list)
    reached = {os.path.realpath(but)} if but is not None else set()
    waiting: list[Path] = [folder]
    links: list[Path] = []
    while waiting or links:
        # links last, so that a folder keeps its real path
        current = waiting.pop() if waiting else links.pop(0)
        target = os.path.realpath(current)
        if target in reached or (current != folder and _leads_back(current, target)):
            continue
        reached.add(target)
        for path in sorted(map(current.joinpath, os.listdir(current))):
            suffix = path.suffix.lower()
            if os.path.isdir(path):
                if not _is_hidden(path.name):
                    (links if path.is_symlink() else waiting).append(path)
                elif _has_files(path, suffixes):
                    left_out["hidden folders"].append(path)
            elif _is_hidden(path.name):
                continue
            elif suffix in suffixes and (path.is_file() or path.is_symlink()):
                files.append(path)
            elif suffix in _OTHER_SOUNDS:
                left_out["files in unsupported formats"].append(path)
            elif path.is_symlink() and not path.exists():
                left_out["broken links"].append(path)
    if left_out:
        reasons = [f"{len(paths)} {what}, such as {paths[0]}" for what, paths in left_out.items()]
        warnings.warn(f"{folder}: left out {'; '.join(reasons)}", stacklevel=2)
    return sorted(files)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _leads_back(link: Path, target: str) -> bool:
    """Whether a link leads to a folder that contains it."""
    return link.is_symlink() and link.parent.resolve().is_relative_to(target)


def _has_files(folder: Path, suffixes: tuple[str, ...]) -> bool:
    """Whether a tree has files with these suffixes that are not hidden."""
    return any(
        Path(name).suffix.lower() in suffixes and not _is_hidden(name)
        for _, _, names in os.walk(folder)
        for name in names
    )

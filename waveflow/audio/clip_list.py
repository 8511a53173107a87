"""Clips by their ids: those of a folder of recordings, and those that a list names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from waveflow.io.folders import SOUNDS, files_below
from waveflow.io.paths import as_path
from waveflow.io.text import read_text


def clip_id(name: str) -> str:
    """The id that a name stands for, of a file without its ending or in a row of a list.

    A letter with its accent is one character or two, by the system that wrote it; here it is one.
    Blanks and byte order marks around a name are no part of it.
    """
    return unicodedata.normalize("NFC", name).strip().strip("\ufeff").strip()


def find_clips(folder: str | Path) -> dict[str, Path]:
    """Clips of a data set by id, sorted: the file name without its ending.

    The folder may have LJSpeech's layout (``metadata.csv`` beside ``wavs`` or ``flac``), or be
    any tree of audio files; :func:`waveflow.io.folders.files_below` says which of them are taken.

    Raises:
        FileNotFoundError: no such folder, or a clip that ``metadata.csv`` names is missing.
        OSError: a folder that cannot be read.
        ValueError: no audio there, or two clips of one name.
    """
    folder = as_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of recordings; there is none")
    clips: dict[str, Path] = {}
    for path in files_below(folder, SOUNDS):
        name = clip_id(path.stem)
        if name in clips:
            raise ValueError(f"{folder}: expected one clip a name; got {clips[name]} and {path}")
        clips[name] = path
    if not clips:
        raise ValueError(f"{folder}: expected audio files ({', '.join(SOUNDS[:4])}, ...)")
    metadata = folder / "metadata.csv"
    if metadata.is_file():
        ids = read_list(metadata)
        missing = [clip for clip in ids if clip not in clips]
        if missing:
            raise FileNotFoundError(
                f"{metadata}: names {len(ids)} clips, {len(missing)} of them have no audio file, "
                f"such as {_some(missing)}; there are files such as {_some(list(clips))}"
            )
        clips = {clip: clips[clip] for clip in ids}
    return clips


def read_list(path: str | Path) -> list[str]:
    """Clip ids, one a line; what follows a ``|`` is ignored.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no text.
    """
    rows = [row for row in read_text(path).split("\n") if clip_id(row)]
    return [clip_id(row.split("|")[0]) for row in rows]


def knows_few(ids: Sequence[str], names: Iterable[str]) -> bool:
    """Whether a list has ids of which hardly any, a tenth at most, is the name of a clip."""
    return bool(ids) and 10 * len(set(ids).intersection(names)) <= len(set(ids))


def unknown_ids(path: str | Path, ids: Sequence[str], names: Sequence[str]) -> str:
    """What to tell of a list whose ids are not the names of the clips."""
    missing = [name for name in ids if name not in set(names)]
    return (
        f"{path}: expected ids of clips, such as {_some(names)}; {len(missing)} of {len(ids)} are "
        f"not there, such as {_some(missing)}"
    )


def _some(names: Sequence[str]) -> str:
    return " and ".join(names[:2])

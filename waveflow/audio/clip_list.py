"""Clips by their ids: those in a folder of recordings, and those in a list."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from waveflow.io.folders import SOUNDS, files_below
from waveflow.io.paths import as_path
from waveflow.io.text import read_text


def clip_id(name: str) -> str:
    """The id of a clip, from its file name without suffix or from a row of a list.

    Systems write a letter with an accent as one character or as two; an id has one. Blanks and byte
    order marks around the name are removed.
    """
    return unicodedata.normalize("NFC", name).strip().strip("\ufeff").strip()


def find_clips(folder: str | Path) -> dict[str, Path]:
    """The clips of a data set by id, sorted; the id is the file name without suffix.

    The folder may have LJSpeech's layout (``metadata.csv`` beside ``wavs`` or ``flac``), or be
    any tree of audio files, searched by :func:`waveflow.io.folders.files_below`.

    Raises:
        FileNotFoundError: the folder, or a clip that ``metadata.csv`` names, is missing.
        OSError: a folder cannot be read.
        ValueError: the folder has no audio, or two clips of the same name.
    """
    folder = as_path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of recordings; it does not exist")
    clips: dict[str, Path] = {}
    for path in files_below(folder, SOUNDS):
        name = clip_id(path.stem)
        if name in clips:
            raise ValueError(f"{folder}: expected one clip per name; got {clips[name]} and {path}")
        clips[name] = path
    if not clips:
        raise ValueError(f"{folder}: expected audio files ({', '.join(SOUNDS[:4])}, ...); got none")
    metadata = folder / "metadata.csv"
    if metadata.is_file():
        ids = read_list(metadata)
        missing = [clip for clip in ids if clip not in clips]
        if missing:
            raise FileNotFoundError(
                f"{metadata}: expected an audio file for each of its {len(ids)} clips; "
                f"{len(missing)} are missing, such as {_some(missing)}; got files such as "
                f"{_some(list(clips))}"
            )
        clips = {clip: clips[clip] for clip in ids}
    return clips


def read_list(path: str | Path) -> list[str]:
    """Read clip ids, one per line; the rest of a line after ``|`` is ignored.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not text.
    """
    rows = [row for row in read_text(path).split("\n") if clip_id(row)]
    return [clip_id(row.split("|")[0]) for row in rows]


def knows_few(ids: Sequence[str], names: Iterable[str]) -> bool:
    """Whether a list has ids, and at most a tenth of them are names of clips."""
    return bool(ids) and 10 * len(set(ids).intersection(names)) <= len(set(ids))


def unknown_ids(path: str | Path, ids: Sequence[str], names: Sequence[str]) -> str:
    """The error about a list with ids that are not names of clips."""
    missing = [name for name in ids if name not in set(names)]
    return (
        f"{path}: expected ids of clips, such as {_some(names)}; {len(missing)} of {len(ids)} are "
        f"unknown, such as {_some(missing)}"
    )


def _some(names: Sequence[str]) -> str:
    return " and ".join(names[:2])

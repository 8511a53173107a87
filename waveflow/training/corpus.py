"""A folder of recordings: which clips are there, which of them train, and reading them."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from waveflow.audio.check import check_mel
from waveflow.audio.io import read_audio
from waveflow.audio.mel import LogMel
from waveflow.audio.mel_file import read_mel
from waveflow.audio.quantise import QUANTUM, quantise
from waveflow.io.folders import SOUNDS, files_below
from waveflow.io.paths import as_path
from waveflow.io.text import read_text
from waveflow.training.clips import Clip
from waveflow.training.config import DataConfig

MEL_SUFFIX = ".npy"
MEL_SLACK = 2
"""Frames by which a predicted mel may be longer or shorter than its recording."""


@dataclass(frozen=True)
class Split:
    """Ids of clips by what they are for."""

    training: list[str]
    validation: list[str]


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


def split_clips(names: Iterable[str], config: DataConfig) -> Split:
    """Take the held-out clips away from the training clips.

    Raises:
        ValueError: nothing is left to train or to validate on, or a list of other clips.
    """
    names = list(names)
    listed, unlisted = config.validation_list, config.exclude_list
    excluded = [] if unlisted is None else read_list(unlisted)
    unseen = set(excluded)
    kept = [name for name in names if name not in unseen]
    held_out = kept[::20] if listed is None else read_list(listed)
    if listed is not None and knows_few(held_out, names):
        raise ValueError(unknown_ids(listed, held_out, names))
    if unlisted is not None and knows_few(excluded, names):
        told = unknown_ids(unlisted, excluded, names)
        if listed is None:
            raise ValueError(told)
        # the other list knows the clips: a part of a corpus may have none of these
        warnings.warn(told, stacklevel=2)
    validated = set(held_out)
    training = [name for name in kept if name not in validated]
    validation = [name for name in kept if name in validated]
    if not training or not validation:
        lists = [path for path in (listed, unlisted) if path is not None]
        why = f"check {' and '.join(lists)} against the clips' names"
        if not lists:
            why = "every twentieth is held out, so expected are two clips or more"
        raise ValueError(
            f"expected clips to train and to validate on; got {len(training)} and "
            f"{len(validation)} of {len(names)}: {why}"
        )
    return Split(training, validation)


def load_clips(
    paths: Iterable[Path], log_mel: LogMel, *, min_frames: int = 1, mels: Path | None = None
) -> Iterator[Clip]:
    """Read recordings, leaving out, with one warning, those too short or digitally silent.

    Args:
        paths: audio files of any rate and format.
        log_mel: the front end; audio is resampled to its rate.
        min_frames: shorter clips are left out.
        mels: folder of ``<clip id>.npy`` to take the mels from instead.

    Raises:
        ValueError: no clip is left, or a mel from a file does not fit its recording.
        FileNotFoundError: a clip has no mel in ``mels``.
    """
    config = log_mel.config
    short, silent, count = [], [], 0
    stored = {}
    if mels is not None:
        stored = {clip_id(path.stem): path for path in files_below(mels, (MEL_SUFFIX,))}
    for path in paths:
        name = clip_id(path.stem)
        audio, _ = read_audio(path, sample_rate=config.sample_rate)
        frames = audio.shape[0] // config.hop_length
        if frames < min_frames or audio.shape[0] <= config.n_fft:
            short.append(path)
            continue
        audio = audio[: frames * config.hop_length]
        if audio.abs().max() < 2 * QUANTUM:
            silent.append(path)
            continue
        if mels is None:
            mel = log_mel(audio[None])[0, :, :frames]
        else:
            mel = _predicted_mel(stored.get(name, mels / f"{name}{MEL_SUFFIX}"), log_mel, frames)
            audio = audio[: mel.shape[-1] * config.hop_length]
        count += 1
        yield Clip(name, quantise(audio), mel)
    for left_out, why in ((short, f"shorter than {min_frames} frames"), (silent, "silent")):
        if left_out:
            warnings.warn(f"left out {len(left_out)} clips {why}: {left_out[0]} ...", stacklevel=2)
    if not count:
        raise ValueError(f"expected clips of at least {min_frames} frames; got none")


def _predicted_mel(path: Path, log_mel: LogMel, frames: int) -> Tensor:
    """The mel in a file, cut to ``frames`` if it is a little longer."""
    mel, mel_config = read_mel(path)
    if mel_config is not None:
        log_mel.config.require_same(mel_config)
    try:
        check_mel(mel, log_mel)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if abs(mel.shape[-1] - frames) > MEL_SLACK:
        raise ValueError(
            f"{path}: expected a mel of {frames} frames, give or take {MEL_SLACK}, as its "
            f"recording has at hop_length {log_mel.config.hop_length}; got {mel.shape[-1]}: "
            "predict it with the recording's own durations"
        )
    return mel[0, :, :frames]

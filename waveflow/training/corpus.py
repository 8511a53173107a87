"""A folder of recordings: which clips are there, which of them train, and reading them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from waveflow.audio.check import check_mel
from waveflow.audio.io import read_audio
from waveflow.audio.mel import LogMel
from waveflow.audio.quantise import QUANTUM, quantise
from waveflow.mel_file import read_mel
from waveflow.training.clips import Clip
from waveflow.training.config import DataConfig

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3"}


MEL_SUFFIX = ".npy"
MEL_SLACK = 2
"""Frames by which a predicted mel may be longer or shorter than its recording."""


@dataclass(frozen=True)
class Split:
    """Ids of clips by what they are for."""

    training: list[str]
    validation: list[str]


def find_clips(folder: str | Path) -> dict[str, Path]:
    """Clips of a data set by id, sorted: the file name without its ending.

    The folder may have LJSpeech's layout (``metadata.csv`` beside ``wavs`` or ``flac``), or be
    any tree of audio files.

    Raises:
        FileNotFoundError: no such folder, or a clip that ``metadata.csv`` names is missing.
        ValueError: no audio there, or two clips of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a folder of recordings; there is none")
    clips: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("."):
            if path.stem in clips:
                raise ValueError(
                    f"{folder}: expected one clip a name; got {clips[path.stem]} and {path}"
                )
            clips[path.stem] = path
    if not clips:
        raise ValueError(f"{folder}: expected audio files ({', '.join(sorted(AUDIO_SUFFIXES))})")
    metadata = folder / "metadata.csv"
    if metadata.is_file():
        lines = _lines(metadata)
        ids = [line.split("|")[0] for line in lines if line.strip()]
        missing = [clip for clip in ids if clip not in clips]
        if missing:
            raise FileNotFoundError(
                f"{metadata}: names {len(ids)} clips, {len(missing)} of them have no audio file, "
                f"such as {missing[0]}"
            )
        clips = {clip: clips[clip] for clip in ids}
    return clips


def read_list(path: str | Path) -> list[str]:
    """Clip ids, one a line; what follows a ``|`` is ignored.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no text.
    """
    return [line.split("|")[0].strip() for line in _lines(Path(path)) if line.strip()]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected a list in UTF-8; got {error}") from None


def split_clips(names: Iterable[str], config: DataConfig) -> Split:
    """Take the held-out clips away from the training clips.

    Raises:
        ValueError: nothing is left to train or to validate on.
    """
    names = list(names)
    excluded = set(read_list(config.exclude_list)) if config.exclude_list else set()
    kept = [name for name in names if name not in excluded]
    held_out = set(read_list(config.validation_list) if config.validation_list else kept[::20])
    training = [name for name in kept if name not in held_out]
    validation = [name for name in kept if name in held_out]
    if not training or not validation:
        raise ValueError(
            f"expected clips to train and to validate on; got {len(training)} and "
            f"{len(validation)} of {len(names)}: check the lists against the clips' names"
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
    for path in paths:
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
            mel = _predicted_mel(mels / f"{path.stem}{MEL_SUFFIX}", log_mel, frames)
            audio = audio[: mel.shape[-1] * config.hop_length]
        count += 1
        yield Clip(path.stem, quantise(audio), mel)
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

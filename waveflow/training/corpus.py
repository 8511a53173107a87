"""The clips of a corpus: their split, and reading them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from waveflow.audio.check import check_mel
from waveflow.audio.clip_list import clip_id, knows_few, read_list, unknown_ids
from waveflow.audio.mel import LogMel
from waveflow.audio.mel_file import read_mel
from waveflow.audio.quantise import QUANTUM, quantise
from waveflow.audio.reading import read_audio
from waveflow.io.folders import files_below
from waveflow.training.clips import Clip
from waveflow.training.config import DataConfig

MEL_SUFFIX = ".npy"
MEL_SLACK = 2
"""Frames by which a predicted mel may be longer or shorter than its recording."""


@dataclass(frozen=True)
class Split:
    """Ids of the clips to train on and to validate on."""

    training: list[str]
    validation: list[str]


def split_clips(names: Iterable[str], config: DataConfig) -> Split:
    """Split clips into training and validation.

    Raises:
        ValueError: no clip is left to train or to validate on, or a list has ids of other clips.
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
        message = unknown_ids(unlisted, excluded, names)
        if listed is None:
            raise ValueError(message)
        # a warning only: the other list fits, and a part of a corpus may have none of these
        warnings.warn(message, stacklevel=2)
    validated = set(held_out)
    training = [name for name in kept if name not in validated]
    validation = [name for name in kept if name in validated]
    if not training or not validation:
        lists = [path for path in (listed, unlisted) if path is not None]
        why = f"check {' and '.join(lists)} against the clips' names"
        if not lists:
            why = "every twentieth is held out, which needs at least two clips"
        raise ValueError(
            f"expected clips to train and to validate on; got {len(training)} and "
            f"{len(validation)} of {len(names)}: {why}"
        )
    return Split(training, validation)


def load_clips(
    paths: Iterable[Path], log_mel: LogMel, *, min_frames: int = 1, mels: Path | None = None
) -> Iterator[Clip]:
    """Read recordings; short or digitally silent ones are left out with a warning.

    Args:
        paths: audio files of any sample rate and format.
        log_mel: front end that computes the mels; audio is resampled to its rate.
        min_frames: least number of frames; shorter clips are left out.
        mels: folder of ``<clip id>.npy`` files with the mels; None computes them.

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
    """The mel in a file, cut to ``frames`` if it is slightly longer."""
    mel, mel_config = read_mel(path)
    if mel_config is not None:
        log_mel.config.require_same(mel_config)
    try:
        check_mel(mel, log_mel)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if abs(mel.shape[-1] - frames) > MEL_SLACK:
        raise ValueError(
            f"{path}: expected a mel of {frames} frames, plus or minus {MEL_SLACK}, like its "
            f"recording at hop_length {log_mel.config.hop_length}; got {mel.shape[-1]}: "
            "predict it with the recording's own durations"
        )
    return mel[0, :, :frames]

"""Uploads to tensors, within the limits, before anything large is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import soundfile
from torch import Tensor

from waveflow.audio.check import check_mel, doubt
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.audio.mel_file import mel_frames, read_mel
from waveflow.demo.limits import Limits
from waveflow.evaluation.recording import Recording, read_recording
from waveflow.interop.mels import CONVENTIONS, convert


def read_upload(path: str | None, log_mel: LogMel, limits: Limits) -> Recording:
    """A recording, resampled to a front end's rate and cut to whole hops, with its mel.

    Raises:
        ValueError: nothing was uploaded, no sound file, one that is too long or too short.
    """
    if not path:
        raise ValueError("expected a recording: upload one, record one, or choose an example")
    check_size(Path(path), limits)
    try:
        seconds = soundfile.info(path).duration
    except soundfile.SoundFileError:
        seconds = 0.0  # whatever is wrong is told by what reads it
    check_seconds(path, seconds, limits)
    recording = read_recording(path, log_mel)
    check_seconds(path, len(recording.audio) / log_mel.config.sample_rate, limits)
    return recording


def read_mel_upload(
    path: str | None, limits: Limits, config: MelConfig
) -> tuple[Tensor, MelConfig | None]:
    """A mel as it stands in a file, (1, n_mels, frames), and how it was made, if the file says.

    Args:
        path: of the upload.
        limits: what it may need.
        config: whose frames are counted.

    Raises:
        ValueError: nothing was uploaded, no mel, or one that is too long.
    """
    if not path:
        raise ValueError("expected a mel file: .npz, .npy or .pt")
    check_size(Path(path), limits)
    try:
        frames = mel_frames(Path(path))
    except ValueError:
        frames = 0
    check_seconds(path, frames * config.hop_length / config.sample_rate, limits)
    mel, declared = read_mel(Path(path))
    check_seconds(path, max(mel.shape) * config.hop_length / config.sample_rate, limits)
    return mel, declared


def check_size(path: Path, limits: Limits) -> None:
    """Refuse a file, or an archive's content, that is too large.

    Raises:
        ValueError: it is.
    """
    if not path.is_file():
        raise ValueError(
            f"{path}: expected an upload; it is deleted after {limits.kept_seconds // 60} minutes: "
            "upload it again"
        )
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(part.file_size for part in archive.infolist()))
    if size > limits.megabytes * 2**20:
        raise ValueError(
            f"{path}: expected {limits.megabytes} MB at most; got {size / 2**20:.0f} MB"
        )


def check_seconds(path: str, seconds: float, limits: Limits) -> None:
    """Refuse what is too long.

    Raises:
        ValueError: it is.
    """
    if seconds > limits.seconds:
        raise ValueError(
            f"{path}: expected {limits.seconds:.0f} s at most; got {seconds:.0f} s: cut it, for a "
            "recording with the scissors below its waveform"
        )


def converted(
    mel: Tensor, declared: MelConfig | None, convention: str | None, log_mel: LogMel
) -> tuple[Tensor, str | None]:
    """A mel in the convention of a front end, and what speaks against it, if anything.

    Args:
        mel: (1, n_mels, frames), or with its axes as its convention has them.
        declared: how its file says that it was made.
        convention: a name of ``waveflow.interop.mels``, if the visitor chose one.
        log_mel: the front end.

    Raises:
        ValueError: a mel of another convention that cannot be converted, or of none.
    """
    source = convention or declared
    if source is not None and source != log_mel.config:
        mel = convert(mel, source, log_mel.config)
    check_mel(mel, log_mel)
    return mel, doubt(mel[0], log_mel)


def conventions() -> list[tuple[str, str]]:
    """What visitors read of the mel conventions, and their names."""
    return [(f"{name}: {known.used_by}", name) for name, known in CONVENTIONS.items()]

"""Read uploads as tensors; limits are checked before anything large is unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import soundfile
from torch import Tensor

from waveflow.audio.check import check_mel, diagnose_mel
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.audio.mel_file import mel_frames, read_mel
from waveflow.demo.limits import Limits
from waveflow.evaluation.recording import Recording, read_recording
from waveflow.interop.mels import CONVENTIONS, convert


def read_upload(path: str | None, log_mel: LogMel, limits: Limits) -> Recording:
    """Read a recording, resampled to a front end's rate and cut to whole hops, with its mel.

    Raises:
        ValueError: there is no upload, or it is not a sound file, too long or too short.
    """
    if not path:
        raise ValueError("expected a recording: upload one, record one, or choose an example")
    check_size(Path(path), limits)
    try:
        seconds = soundfile.info(path).duration
    except soundfile.SoundFileError:
        seconds = 0.0  # read_recording reports the error
    check_seconds(path, seconds, limits)
    recording = read_recording(path, log_mel)
    check_seconds(path, len(recording.audio) / log_mel.config.sample_rate, limits)
    return recording


def read_mel_upload(
    path: str | None, limits: Limits, config: MelConfig
) -> tuple[Tensor, MelConfig | None]:
    """Read the mel in a file, (1, n_mels, frames), and its convention if the file declares one.

    Args:
        path: path of the upload; None if there is none.
        limits: limits of an upload.
        config: mel convention that converts frames to seconds.

    Raises:
        ValueError: there is no upload, or it is not a mel, or too long.
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
    """Refuse a file, or the content of an archive, that is too large.

    Raises:
        ValueError: the upload is too large, or has been deleted.
    """
    if not path.is_file():
        raise ValueError(
            f"{path}: expected an upload; got none: uploads are deleted after "
            f"{limits.kept_seconds // 60} minutes, upload it again"
        )
    size = path.stat().st_size
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            size = max(size, sum(part.file_size for part in archive.infolist()))
    if size > limits.megabytes * 2**20:
        raise ValueError(
            f"{path}: expected at most {limits.megabytes} MB; got {size / 2**20:.0f} MB"
        )


def check_seconds(path: str, seconds: float, limits: Limits) -> None:
    """Refuse an upload that is too long.

    Raises:
        ValueError: ``seconds`` is more than the limit.
    """
    if seconds > limits.seconds:
        raise ValueError(
            f"{path}: expected at most {limits.seconds:.0f} s; got {seconds:.0f} s: shorten it "
            "(the scissors below the waveform cut a recording)"
        )


def converted(
    mel: Tensor, declared: MelConfig | None, convention: str | None, log_mel: LogMel
) -> tuple[Tensor, str | None]:
    """A mel in the convention of a front end, and a warning if its values are implausible.

    Args:
        mel: mel, (1, n_mels, frames), or with the axes of its convention.
        declared: convention that the file declares.
        convention: name in ``waveflow.interop.mels`` that the visitor chose.
        log_mel: front end to convert to.

    Raises:
        ValueError: the mel cannot be converted, or has impossible values.
    """
    source = convention or declared
    if source is not None and source != log_mel.config:
        mel = convert(mel, source, log_mel.config)
    check_mel(mel, log_mel)
    return mel, diagnose_mel(mel[0], log_mel)


def conventions() -> list[tuple[str, str]]:
    """The mel conventions as (text for visitors, name)."""
    return [(f"{name}: {known.used_by}", name) for name, known in CONVENTIONS.items()]

"""Read uploads as tensors; limits are checked before anything large is unpacked."""

from __future__ import annotations

import zipfile
from contextlib import suppress
from pathlib import Path

import soundfile
from torch import Tensor

from waveflow.audio.check import check_mel, diagnose_mel
from waveflow.audio.mel_file import read_mel
from waveflow.demo.backend import Backend
from waveflow.demo.limits import Limits
from waveflow.evaluation.recording import Recording, read_recording
from waveflow.interop.mels import CONVENTIONS, convert


def read_upload(backend: Backend, model: str, path: str | None) -> Recording:
    """Read a recording, resampled to a vocoder's rate and cut to whole hops, with its mel.

    Raises:
        ValueError: there is no upload, or it is not a sound file, too long or too short.
    """
    log_mel, limits = backend.log_mel(model), backend.limits
    if not path:
        raise ValueError("expected a recording: upload one, record one, or choose an example")
    check_size(path, limits)
    with suppress(soundfile.SoundFileError):  # read_recording reports the error
        check_seconds(path, soundfile.info(path).duration, limits)
    recording = read_recording(path, log_mel)
    check_seconds(path, len(recording.audio) / log_mel.config.sample_rate, limits)
    return recording


def read_mel_upload(
    backend: Backend, model: str, path: str | None, convention: str | None
) -> tuple[Tensor, str | None]:
    """Read the mel in a file, (1, n_mels, frames), in the convention of a vocoder.

    Args:
        backend: the vocoders.
        model: name of a vocoder of the backend.
        path: path of the upload; None if there is none.
        convention: name in ``waveflow.interop.mels`` that the visitor chose; None is the
            convention that the file declares, or else the vocoder's own.

    Returns:
        The mel, and a warning if its values are implausible.

    Raises:
        ValueError: there is no upload, or it is not a mel, too long, cannot be converted, or has
            impossible values.
    """
    log_mel, limits = backend.log_mel(model), backend.limits
    if not path:
        raise ValueError("expected a mel file: .npz, .npy or .pt")
    check_size(path, limits)
    mel, declared = read_mel(path)
    config = log_mel.config
    check_seconds(path, max(mel.shape) * config.hop_length / config.sample_rate, limits)
    source = convention or declared
    if source is not None and source != config:
        mel = convert(mel, source, config)
    check_mel(mel, log_mel)
    return mel, diagnose_mel(mel[0], log_mel)


def check_size(path: str, limits: Limits) -> None:
    """Refuse a file, or the content of an archive, that is too large.

    Raises:
        ValueError: the upload is too large, or has been deleted.
    """
    if not Path(path).is_file():
        raise ValueError(
            f"{path}: expected an upload; got none: uploads are deleted after "
            f"{limits.kept_seconds // 60} minutes, upload it again"
        )
    size = Path(path).stat().st_size
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


def check_iterations(count: int, limits: Limits) -> None:
    """Refuse a number of iterations of mel consistency that is out of range.

    Raises:
        ValueError: ``count`` is negative, or more than the limit.
    """
    if not 0 <= count <= limits.consistency:
        raise ValueError(f"expected 0 to {limits.consistency} iterations; got {count}")


def conventions() -> list[tuple[str, str]]:
    """The mel conventions as (text for visitors, name)."""
    return [(f"{name}: {known.used_by}", name) for name, known in CONVENTIONS.items()]

"""Write sound files, complete or not at all."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterable
from io import FileIO
from pathlib import Path

import soundfile
from torch import Tensor

from waveflow.audio.quantise import quantise
from waveflow.audio.reading import clipping
from waveflow.audio.sample_rate import checked_rate
from waveflow.checks import floating
from waveflow.io.atomic import atomic_path
from waveflow.io.folders import WRITABLE
from waveflow.io.paths import as_path

_LONGEST = {".wav": (2**32 - 2**10) // 2, ".flac": 2**36 - 1}  # samples that a header can count


def write_audio(path: str | os.PathLike[str], audio: Tensor, sample_rate: int) -> None:
    """Write one channel as 16-bit PCM, completely or not at all.

    Samples are rounded to the nearest 16-bit step, so audio that ``read_audio`` read from a 16-bit
    file is written back bit for bit. The file appears under its name only when it is complete;
    an existing file of that name stays until then.

    Args:
        path: file to write in an existing folder; ``.wav`` or ``.flac`` sets the format.
        audio: audio, (time,), floating point in [-1, 1]; samples beyond are clipped, with a
            warning that counts them.
        sample_rate: sample rate of the audio, Hz.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: wrong extension, shape or type, no samples, NaN or infinity, or a sample rate
            that the format cannot hold.

    >>> import tempfile
    >>> import torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/second.flac", torch.zeros(22050), 22050)
    """
    _write(as_path(path), [audio], sample_rate)


def write_audio_pieces(
    path: str | os.PathLike[str], pieces: Iterable[Tensor], sample_rate: int
) -> int:
    """Write one channel from pieces, in memory that does not grow with its length.

    The file is that of ``write_audio`` with the pieces joined, bit for bit, and appears only when
    it is complete: if a piece is refused, or its source raises, an existing file stays.

    Args:
        path: file to write in an existing folder; ``.wav`` or ``.flac`` sets the format.
        pieces: audio, (samples,) each, of any lengths, floating point in [-1, 1]; one warning at
            the end counts all clipped samples.
        sample_rate: sample rate of the audio, Hz.

    Returns:
        The number of samples.

    Raises:
        FileNotFoundError: the folder does not exist.
        ValueError: as for ``write_audio``; or more samples than the format can hold.

    >>> import tempfile
    >>> import torch
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio_pieces(f"{folder}/two.flac", torch.zeros(22050).split(15000), 22050)
    22050
    """
    return _write(as_path(path), pieces, sample_rate)


def _write(path: Path, pieces: Iterable[Tensor], sample_rate: int) -> int:
    """Write pieces one by one; warnings point to the caller of the calling function."""
    sample_rate = _check_target(path, sample_rate)
    count = beyond = 0
    peak = 0.0
    suffix = path.suffix.lower()
    with atomic_path(path) as temporary, temporary.open("r+b", buffering=0) as raw:
        target = _Target(raw)
        with _sound_file(target, path, sample_rate) as file:
            for piece in pieces:
                _check_audio(path, piece)
                count += len(piece)
                if count > _LONGEST[suffix]:
                    raise ValueError(
                        f"{path}: expected at most {_LONGEST[suffix]} samples in a {suffix} file; "
                        "got more"
                    )
                beyond += int((piece.abs() > 1).sum())
                peak = max(peak, piece.abs().max().item())
                steps = quantise(piece.detach().double().clamp(-1, 1)).cpu().numpy()
                target.carry(file.write, steps)
            target.carry(file.close)
        if not count:
            raise ValueError(f"{path}: expected audio; got 0 samples")
    if beyond:
        warnings.warn(clipping(path, beyond, count, peak), stacklevel=3)
    return count


class _Target:
    """A binary file for libsndfile to write to, which keeps the error of a failed write.

    Args:
        file: unbuffered file.
    """

    def __init__(self, file: FileIO):
        self._file = file
        self.error: BaseException | None = None
        self.seek, self.tell = file.seek, file.tell

    def write(self, content: bytes) -> int:
        """Write all of ``content``; an error is stored, because libsndfile would swallow it."""
        written = 0
        try:
            while written < len(content) and self.error is None:
                written += self._file.write(memoryview(content)[written:])
        except BaseException as error:  # including KeyboardInterrupt
            self.error = error
        return written

    def carry(self, work: Callable[..., None], *arguments: object) -> None:
        """Call a function of libsndfile.

        Raises:
            OSError: the file cannot be written.
        """
        try:
            work(*arguments)
        except (soundfile.SoundFileError, AssertionError):
            if self.error is None:
                raise
        if self.error is not None:
            raise self.error


def _sound_file(target: _Target, path: Path, sample_rate: int) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(
            target, "w", sample_rate, 1, "PCM_16", format=path.suffix[1:].upper()
        )
    except soundfile.SoundFileError as error:
        if target.error is not None:
            raise target.error from None
        raise ValueError(
            f"{path}: expected a sample rate that the format can hold; got {sample_rate}"
        ) from error


def _check_target(path: Path, sample_rate: int) -> int:
    if path.suffix.lower() not in WRITABLE:
        raise ValueError(
            f"{path}: expected a name ending in {' or '.join(WRITABLE)}; got {path.suffix!r}"
        )
    sample_rate = checked_rate("sample_rate", sample_rate)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write to", str(path.parent))
    return sample_rate


def _check_audio(path: Path, audio: Tensor) -> None:
    if len(floating(audio, str(path), "(time,)", what="floating-point audio")) == 0:
        raise ValueError(f"{path}: expected audio; got 0 samples")

"""Sound files read, at any sample rate, whole or in pieces."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import soundfile
import torch
from torch import Tensor

from waveflow.audio.containers import open_whole
from waveflow.audio.sample_rate import checked_rate, resampled
from waveflow.io.budget import SOUND
from waveflow.io.pipes import seekable

_LOUD = 128.0  # from this peak on, samples are integers that were stored as floats
_UNKNOWN = 1 << 62  # libsndfile counts a FLAC of open length as 2**63 - 1 samples
_BLOCK = 1 << 20  # samples that are decoded at a time
_SLOWEST, _FASTEST = 1000, 10_000_000  # sample rates, Hz
_UNRECOGNISED = 1  # libsndfile's code for a format that it does not know
_KINDS = {
    b"\x93NUMPY": "an array of NumPy",
    b"PK": "an archive, as .npz, .pt and .pth are",
    b"\x80": "a pickle, as an old .pt or .pth is",
}


class NoSound(ValueError):
    """A file that is no sound of any kind known, rather than a damaged one.

    Args:
        path: of the file.
        start: its first bytes.
        reason: what is wrong with it as a sound.

    Attributes:
        got: what it is instead.
    """

    def __init__(self, path: str | os.PathLike[str], start: bytes, reason: str):
        known = [kind for mark, kind in _KINDS.items() if start.startswith(mark)]
        self.got = known[0] if known else "a file of an unknown format" if start else "no bytes"
        what = f"a sound file; got {self.got}" if known else f"a whole sound file; got: {reason}"
        super().__init__(f"{path}: expected {what}")


def read_audio(path: str | os.PathLike[str], sample_rate: int | None = None) -> tuple[Tensor, int]:
    """Read a sound file as one channel.

    WAV of any depth, FLAC, OGG, AIFF and what else libsndfile reads. Channels are averaged. A
    WAV, RF64, W64, AIFF, AU, CAF or FLAC that was cut short is refused; but for a FLAC, one written
    to a pipe, whose header leaves the length open, is read to its end. ID3v2 tags may stand before
    all of them. Samples beyond [-1, 1] (a float file, or the overshoot of a lossy codec or of
    resampling) are clipped, with a warning that counts them.

    Args:
        path: the file; a pipe is read once, to its end.
        sample_rate: the rate wanted, Hz; None keeps the file's own.

    Returns:
        audio (time,), float32 in [-1, 1], and its sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file (and other ``OSError`` as ``open`` raises them).
        ValueError: no sound file, cut short, without samples, or with NaN or infinity in it; a
            sample rate below 1 kHz or above 10 MHz; more samples than 67 million and 100 for each
            byte of the file.

    >>> import tempfile
    >>> from waveflow.audio import write_audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/half.wav", torch.full((4,), 0.5), 22050)
    ...     read_audio(f"{folder}/half.wav")
    (tensor([0.5000, 0.5000, 0.5000, 0.5000]), 22050)
    """
    if sample_rate is not None:
        sample_rate = checked_rate("sample_rate", sample_rate)
    with _opened(path, sample_rate) as (file, file_rate):
        rate = sample_rate or file_rate
        audio = torch.cat(list(resampled(_decoded(path, file), file_rate, rate)))
    return _clip(audio, path), rate


def read_audio_pieces(path: str | os.PathLike[str], sample_rate: int) -> Iterator[Tensor]:
    """Read a sound file as one channel in memory that does not grow with its length.

    Args:
        path: as for :func:`read_audio`, which gives the pieces in a row, bit for bit.
        sample_rate: the rate wanted, Hz.

    Yields:
        audio, (samples,), float32 in [-1, 1]; clipping is told in one warning, at the end.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_audio`, when what is wrong is come to.

    >>> import tempfile
    >>> from waveflow.audio import write_audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/two.wav", torch.zeros(44100), 44100)
    ...     sum(len(piece) for piece in read_audio_pieces(f"{folder}/two.wav", 22050))
    22050
    """
    sample_rate = checked_rate("sample_rate", sample_rate)
    count = beyond = 0
    peak = 0.0
    with _opened(path, sample_rate) as (file, rate):
        for piece in resampled(_decoded(path, file), rate, sample_rate):
            count += len(piece)
            beyond += int((piece.abs() > 1).sum())
            peak = max(peak, piece.abs().max().item() if len(piece) else 0.0)
            yield piece.clamp(-1, 1)
    if beyond:
        warnings.warn(clipping(path, beyond, count, peak), stacklevel=2)


@contextmanager
def _opened(
    path: str | os.PathLike[str], wanted: int | None
) -> Iterator[tuple[soundfile.SoundFile, int]]:
    """A sound file that can be read as a recording, and its rate.

    What libsndfile has to say of it while it is open is told as a ValueError.
    """
    with seekable(path) as contents:
        try:
            view = open_whole(contents)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        try:
            with soundfile.SoundFile(view.source(), closefd=False) as file:
                rate, promised = file.samplerate, file.frames
                if promised >= _UNKNOWN:
                    raise ValueError(
                        f"{path}: expected a {file.format} that says its length; got one that was "
                        "written to a pipe and does not"
                    )
                too_many = promised * max(rate, wanted or 0) > SOUND.of(view.size) * rate
                if not _SLOWEST <= rate <= _FASTEST or too_many:
                    raise ValueError(
                        f"{path}: expected a recording; got {view.size} bytes that promise "
                        f"{promised} samples at {rate} Hz"
                    )
                yield file, rate
        except (soundfile.SoundFileError, AssertionError) as error:
            reason = getattr(error, "error_string", error)
            if getattr(error, "code", None) == _UNRECOGNISED:
                raise NoSound(path, view.at(0, 8), str(reason)) from None
            raise ValueError(f"{path}: expected a whole sound file; got: {reason}") from error


def _decoded(path: str | os.PathLike[str], file: soundfile.SoundFile) -> Iterator[Tensor]:
    """All samples of a file, (samples,) float32 each piece, channels averaged, known to be sane."""
    size, promised, count = max(1, _BLOCK // file.channels), file.frames, 0
    while count < promised:
        block = file.read(min(size, promised - count), dtype="float32", always_2d=True)
        if not len(block):
            raise ValueError(f"{path}: expected {promised} samples as promised; got {count}")
        piece = torch.from_numpy(block).mean(dim=1)
        if not piece.isfinite().all():
            raise ValueError(f"{path}: expected finite samples; got NaN or infinity")
        peak = piece.abs().max().item()
        if peak >= _LOUD:
            raise ValueError(f"{path}: expected samples in [-1, 1]; got a peak of {peak:.6g}")
        count += len(piece)
        yield piece
    if not count:
        raise ValueError(f"{path}: expected audio; got a file of 0 samples")


def _clip(audio: Tensor, path: str | os.PathLike[str]) -> Tensor:
    beyond = int((audio.abs() > 1).sum())
    if beyond:
        peak = audio.abs().max().item()
        warnings.warn(clipping(path, beyond, len(audio), peak), stacklevel=3)
    return audio.clamp(-1, 1)


def clipping(path: str | os.PathLike[str], beyond: int, count: int, peak: float) -> str:
    """The warning about samples beyond [-1, 1]."""
    return f"{path}: clipped {beyond} of {count} samples to [-1, 1]; the peak was {peak:.6g}"

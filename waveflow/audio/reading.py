"""Read sound files at any sample rate, whole or in pieces."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import soundfile
import torch
from torch import Tensor

from waveflow.audio.containers import open_whole
from waveflow.audio.sample_rate import checked_rate, resampled
from waveflow.io.budget import SOUND
from waveflow.io.pipes import seekable

_LOUD = 128.0  # above this peak, the samples are integers that were stored as floats
_UNKNOWN = 1 << 62  # libsndfile gives a FLAC of unknown length 2**63 - 1 samples
_BLOCK = 1 << 20  # samples that are decoded at a time
_SLOWEST, _FASTEST = 1000, 10_000_000  # sample rates, Hz
_UNRECOGNISED = 1  # libsndfile's code for a format that it does not know
_KINDS = {
    b"\x93NUMPY": "a NumPy array",
    b"PK": "an archive, like .npz, .pt and .pth files",
    b"\x80": "a pickle, like an old .pt or .pth file",
}


class NoSound(ValueError):
    """A file that is not a sound file in any known format, as opposed to a damaged one.

    Args:
        path: path of the file.
        start: first bytes of the file.
        reason: error of the sound reader.

    Attributes:
        got: description of what the file is instead.
    """

    def __init__(self, path: str | os.PathLike[str], start: bytes, reason: str):
        known = [kind for mark, kind in _KINDS.items() if start.startswith(mark)]
        self.got = known[0] if known else "a file of an unknown format" if start else "no bytes"
        what = f"a sound file; got {self.got}" if known else f"a whole sound file; got: {reason}"
        super().__init__(f"{path}: expected {what}")


def read_audio(path: str | os.PathLike[str], sample_rate: int | None = None) -> tuple[Tensor, int]:
    """Read a sound file as one channel.

    Reads WAV of any depth, FLAC, OGG, AIFF and the other formats of libsndfile. Channels are
    averaged. A truncated WAV, RF64, W64, AIFF, AU, CAF or FLAC is refused. A file that was written
    to a pipe has no length in its header and is read to its end, except a FLAC, which is refused.
    ID3v2 tags may precede any format. Samples beyond [-1, 1] (from a float file, or the overshoot
    of a lossy codec or of resampling) are clipped, with a warning that counts them.

    Args:
        path: file to read; a pipe is read once, to its end.
        sample_rate: sample rate of the result, Hz; None keeps that of the file.

    Returns:
        audio (time,), float32 in [-1, 1], and its sample rate in Hz.

    Raises:
        FileNotFoundError: there is no such file (and other ``OSError`` that ``open`` raises).
        ValueError: the file is not a sound file, is truncated, has no samples, or has NaN or
            infinity; its sample rate is below 1 kHz or above 10 MHz; it has more samples than 67
            million plus 100 for each byte of the file.

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
        pieces = resampled(_decoded(path, file), file_rate, rate)
        return torch.cat(list(_clipped(path, pieces))), rate


def read_audio_pieces(path: str | os.PathLike[str], sample_rate: int) -> Iterator[Tensor]:
    """Read a sound file as one channel in memory that does not grow with its length.

    Args:
        path: file to read; :func:`read_audio` returns the pieces joined, bit for bit.
        sample_rate: sample rate of the pieces, Hz.

    Yields:
        audio, (samples,), float32 in [-1, 1]; one warning at the end reports all clipping.

    Raises:
        FileNotFoundError, ValueError: as for :func:`read_audio`, when reading reaches the fault.

    >>> import tempfile
    >>> from waveflow.audio import write_audio
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/two.wav", torch.zeros(44100), 44100)
    ...     sum(len(piece) for piece in read_audio_pieces(f"{folder}/two.wav", 22050))
    22050
    """
    sample_rate = checked_rate("sample_rate", sample_rate)
    with _opened(path, sample_rate) as (file, rate):
        yield from _clipped(path, resampled(_decoded(path, file), rate, sample_rate))


@contextmanager
def _opened(
    path: str | os.PathLike[str], wanted: int | None
) -> Iterator[tuple[soundfile.SoundFile, int]]:
    """Open a sound file as a recording; the result is the file and its sample rate.

    Errors of libsndfile become a ValueError while the file is open.
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
                        f"{path}: expected a {file.format} file with its length in the header; got "
                        "one without, as a program writes it to a pipe"
                    )
                too_many = promised * max(rate, wanted or 0) > SOUND.of(view.size) * rate
                if not _SLOWEST <= rate <= _FASTEST or too_many:
                    raise ValueError(
                        f"{path}: expected a recording; got {view.size} bytes whose header claims "
                        f"{promised} samples at {rate} Hz"
                    )
                yield file, rate
        except (soundfile.SoundFileError, AssertionError) as error:
            reason = getattr(error, "error_string", error)
            if getattr(error, "code", None) == _UNRECOGNISED:
                raise NoSound(path, view.at(0, 8), str(reason)) from None
            raise ValueError(f"{path}: expected a whole sound file; got: {reason}") from error


def _decoded(path: str | os.PathLike[str], file: soundfile.SoundFile) -> Iterator[Tensor]:
    """The samples of a file in pieces, (samples,) float32, channels averaged, and checked."""
    size, promised, count = max(1, _BLOCK // file.channels), file.frames, 0
    while count < promised:
        block = file.read(min(size, promised - count), dtype="float32", always_2d=True)
        if not len(block):
            raise ValueError(
                f"{path}: expected {promised} samples according to its header; got {count}"
            )
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


def _clipped(path: str | os.PathLike[str], pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    """Pieces of audio in [-1, 1]; a warning at the end points to the caller of the caller."""
    count = beyond = 0
    peak = 0.0
    for piece in pieces:
        count += len(piece)
        beyond += int((piece.abs() > 1).sum())
        peak = max(peak, piece.abs().max().item() if len(piece) else 0.0)
        yield piece.clamp(-1, 1)
    if beyond:
        warnings.warn(clipping(path, beyond, count, peak), stacklevel=3)


def clipping(path: str | os.PathLike[str], beyond: int, count: int, peak: float) -> str:
    """The text of the warning about samples beyond [-1, 1]."""
    return f"{path}: clipped {beyond} of {count} samples to [-1, 1]; the peak was {peak:.6g}"

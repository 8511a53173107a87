"""Audio files to tensors and back, and the change of sample rate."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor, nn

from waveflow.audio.containers import open_whole
from waveflow.audio.quantise import quantise
from waveflow.checks import whole
from waveflow.io.atomic import atomic_path
from waveflow.io.paths import as_path
from waveflow.io.pipes import seekable

_LOUD = 128.0  # from this peak on, samples are integers that were stored as floats
_UNKNOWN = 1 << 62  # libsndfile counts a FLAC of open length as 2**63 - 1 samples
_BLOCK = 1 << 20  # samples that are decoded at a time
_ROOM, _RATIO = 1 << 26, 100  # samples of every file, and more for each of its bytes
_SLOWEST, _FASTEST = 1000, 10_000_000  # sample rates, Hz
_WRITABLE = {".wav": "WAV", ".flac": "FLAC"}
_UNRECOGNISED = 1  # libsndfile's code for a format that it does not know
_KINDS = {
    b"\x93NUMPY": "an array of NumPy",
    b"PK": "an archive, as .npz, .pt and .pth are",
    b"\x80": "a pickle, as an old .pt or .pth is",
}
_LONGEST = {".wav": (2**32 - 2**10) // 2, ".flac": 2**36 - 1}  # samples that a header can count


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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/half.wav", torch.full((4,), 0.5), 22050)
    ...     read_audio(f"{folder}/half.wav")
    (tensor([0.5000, 0.5000, 0.5000, 0.5000]), 22050)
    """
    if sample_rate is not None:
        sample_rate = _check_rate("sample_rate", sample_rate)
    with _opened(path, sample_rate) as (file, file_rate):
        rate = sample_rate or file_rate
        audio = torch.cat(list(_resampled(_decoded(path, file), file_rate, rate)))
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
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/two.wav", torch.zeros(44100), 44100)
    ...     sum(len(piece) for piece in read_audio_pieces(f"{folder}/two.wav", 22050))
    22050
    """
    sample_rate = _check_rate("sample_rate", sample_rate)
    count = beyond = 0
    peak = 0.0
    with _opened(path, sample_rate) as (file, rate):
        for piece in _resampled(_decoded(path, file), rate, sample_rate):
            count += len(piece)
            beyond += int((piece.abs() > 1).sum())
            peak = max(peak, piece.abs().max().item() if len(piece) else 0.0)
            yield piece.clamp(-1, 1)
    if beyond:
        warnings.warn(_clipped(path, beyond, count, peak), stacklevel=2)


def resample(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate by a band-limited, linear-phase filter (soxr, high quality).

    Args:
        audio: (..., time), floating point.
        from_rate: its sample rate, Hz.
        to_rate: the rate wanted, Hz.

    Returns:
        (..., ceil(time * to_rate / from_rate)) on the same device and of the same type, with no
        gradient; ``audio`` itself where the rates agree.

    Raises:
        ValueError: a rate that is no positive integer, or audio that is no floating-point tensor.

    >>> resample(torch.zeros(2, 480), 48000, 22050).shape
    torch.Size([2, 221])
    """
    from_rate, to_rate = _check_rate("from_rate", from_rate), _check_rate("to_rate", to_rate)
    if not isinstance(audio, Tensor) or not audio.is_floating_point() or audio.dim() == 0:
        raise ValueError(
            f"expected floating-point audio of shape (..., time); got {_describe(audio)}"
        )
    if from_rate == to_rate:
        return audio
    length = -(-audio.shape[-1] * to_rate // from_rate)
    if audio.numel() == 0:
        return audio.new_zeros(*audio.shape[:-1], length)
    import soxr  # imported late: few callers need it

    flat = audio.detach().cpu().reshape(-1, audio.shape[-1])
    flat = flat if flat.dtype == torch.float64 else flat.float()
    # Silence beyond the end lets soxr, which rounds its length, make the last sample too.
    flat = nn.functional.pad(flat, (0, from_rate // to_rate + 1))
    rows = [soxr.resample(row, from_rate, to_rate, quality="HQ")[:length] for row in flat.numpy()]
    return torch.from_numpy(np.stack(rows)).view(*audio.shape[:-1], length).to(audio)


def write_audio(path: str | os.PathLike[str], audio: Tensor, sample_rate: int) -> None:
    """Write one channel as 16-bit PCM, all of it or nothing.

    Samples are rounded to the nearest 16-bit step, so that what ``read_audio`` got from a 16-bit
    file is written back bit for bit. The file appears under its name only when it is complete;
    an older one of that name stays until then.

    Args:
        path: where to; ``.wav`` or ``.flac`` says the format. Its folder must exist.
        audio: (time,), floating point in [-1, 1]; what lies beyond is clipped, with a warning
            that counts it.
        sample_rate: of the audio, Hz.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: another extension, another shape or type, no samples, NaN or infinity, or a
            sample rate that the format cannot hold.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio(f"{folder}/second.flac", torch.zeros(22050), 22050)
    """
    path = as_path(path)
    sample_rate = _check_target(path, sample_rate)
    _check_audio(path, audio)
    _write(path, [audio], sample_rate)


def write_audio_pieces(
    path: str | os.PathLike[str], pieces: Iterable[Tensor], sample_rate: int
) -> int:
    """Write one channel that comes in pieces, in memory that does not grow with its length.

    The file is bit for bit that of ``write_audio`` and the pieces in a row, and likewise whole or
    not there: if a piece is refused, or their source raises, an older file stays.

    Args:
        path: as for ``write_audio``.
        pieces: (samples,) each, of any lengths, as for ``write_audio``; clipping is told in one
            warning, at the end.
        sample_rate: of the audio, Hz.

    Returns:
        How many samples were written.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: as for ``write_audio``; or more samples than the format can hold.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_audio_pieces(f"{folder}/two.flac", torch.zeros(22050).split(15000), 22050)
    22050
    """
    path = as_path(path)
    sample_rate = _check_target(path, sample_rate)
    return _write(path, pieces, sample_rate)


def _write(path: Path, pieces: Iterable[Tensor], sample_rate: int) -> int:
    """Write pieces one by one, for a public caller two frames up."""
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
                        f"{path}: expected {_LONGEST[suffix]} samples at most in a {suffix} file; "
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
        warnings.warn(_clipped(path, beyond, count, peak), stacklevel=3)
    return count


class _Target:
    """A binary file that libsndfile writes to, which remembers why it could not.

    Args:
        file: unbuffered.
    """

    def __init__(self, file: FileIO):
        self._file = file
        self.error: OSError | None = None
        self.seek, self.tell = file.seek, file.tell

    def write(self, content: bytes) -> int:
        """Write all of it; what is raised here would not come through libsndfile."""
        rest = memoryview(content)
        try:
            while len(rest) and self.error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return len(content) - len(rest)

    def carry(self, work: Callable[..., None], *arguments: object) -> None:
        """Let libsndfile work.

        Raises:
            OSError: the file could not be written.
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
            target, "w", sample_rate, 1, "PCM_16", format=_WRITABLE[path.suffix.lower()]
        )
    except soundfile.SoundFileError as error:
        if target.error is not None:
            raise target.error from None
        raise ValueError(
            f"{path}: expected a sample rate that the format can hold; got {sample_rate}"
        ) from error


def _check_target(path: Path, sample_rate: int) -> int:
    if path.suffix.lower() not in _WRITABLE:
        raise ValueError(f"{path}: expected a name in .wav or .flac; got {path.suffix!r}")
    sample_rate = _check_rate("sample_rate", sample_rate)
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(path.parent))
    return sample_rate


def _check_audio(path: Path, audio: Tensor) -> None:
    if not isinstance(audio, Tensor) or not audio.is_floating_point() or audio.dim() != 1:
        raise ValueError(
            f"{path}: expected floating-point audio of shape (time,); got {_describe(audio)}"
        )
    if len(audio) == 0:
        raise ValueError(f"{path}: expected audio; got 0 samples")
    if not audio.isfinite().all():
        raise ValueError(f"{path}: expected finite samples; got NaN or infinity")


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
                most = _ROOM + _RATIO * view.size
                too_many = promised * max(rate, wanted or 0) > most * rate
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


def _resampled(pieces: Iterable[Tensor], from_rate: int, to_rate: int) -> Iterator[Tensor]:
    """What :func:`resample` makes of all pieces, bit for bit, as it comes."""
    if from_rate == to_rate:
        yield from pieces
        return
    import soxr  # imported late: few callers need it

    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
    come = gone = 0
    for piece in pieces:
        come += len(piece)
        made = torch.from_numpy(stream.resample_chunk(piece.numpy()))
        gone += len(made)
        if len(made):
            yield made
    silence = np.zeros(from_rate // to_rate + 1, dtype=np.float32)  # as in resample
    rest = torch.from_numpy(stream.resample_chunk(silence, last=True))
    yield rest[: -(-come * to_rate // from_rate) - gone]


def _clip(audio: Tensor, path: str | os.PathLike[str]) -> Tensor:
    beyond = int((audio.abs() > 1).sum())
    if beyond:
        peak = audio.abs().max().item()
        warnings.warn(_clipped(path, beyond, len(audio), peak), stacklevel=3)
    return audio.clamp(-1, 1)


def _clipped(path: str | os.PathLike[str], beyond: int, count: int, peak: float) -> str:
    return f"{path}: clipped {beyond} of {count} samples to [-1, 1]; the peak was {peak:.6g}"


def _check_rate(name: str, rate: int) -> int:
    try:
        number = whole(rate, name)
    except ValueError:
        number = 0
    if number < 1:
        raise ValueError(f"expected {name} to be a positive integer, in Hz; got {rate!r}")
    return number


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return type(value).__name__

"""Change the sample rate of recordings, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

import numpy as np
import torch
from torch import Tensor, nn

from waveflow.checks import described, whole


def resample(audio: Tensor, from_rate: int, to_rate: int) -> Tensor:
    """Change the sample rate by a band-limited, linear-phase filter (soxr, high quality).

    Args:
        audio: audio, (..., time), floating point.
        from_rate: sample rate of the audio, Hz.
        to_rate: sample rate of the result, Hz.

    Returns:
        (..., ceil(time * to_rate / from_rate)) on the device and of the type of ``audio``, without
        gradient; ``audio`` itself if the rates are equal.

    Raises:
        ValueError: a rate is not a positive integer, or ``audio`` is not a floating-point tensor.

    >>> resample(torch.zeros(2, 480), 48000, 22050).shape
    torch.Size([2, 221])
    """
    from_rate, to_rate = checked_rate("from_rate", from_rate), checked_rate("to_rate", to_rate)
    if not isinstance(audio, Tensor) or not audio.is_floating_point() or audio.dim() == 0:
        raise ValueError(
            f"expected floating-point audio of shape (..., time); got {described(audio)}"
        )
    if from_rate == to_rate:
        return audio
    length = -(-audio.shape[-1] * to_rate // from_rate)
    if audio.numel() == 0:
        return audio.new_zeros(*audio.shape[:-1], length)
    import soxr  # imported late: few callers need it

    flat = audio.detach().cpu().reshape(-1, audio.shape[-1])
    flat = flat if flat.dtype == torch.float64 else flat.float()
    # soxr rounds its length; with silence after the end it computes the last sample as well.
    flat = nn.functional.pad(flat, (0, from_rate // to_rate + 1))
    rows = [soxr.resample(row, from_rate, to_rate, quality="HQ")[:length] for row in flat.numpy()]
    return torch.from_numpy(np.stack(rows)).view(*audio.shape[:-1], length).to(audio)


def resampled(pieces: Iterable[Tensor], from_rate: int, to_rate: int) -> Iterator[Tensor]:
    """Resample audio in pieces; the pieces joined equal :func:`resample`, bit for bit."""
    if from_rate == to_rate:
        yield from pieces
        return
    import soxr  # imported late: few callers need it

    stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")
    received = emitted = 0
    for piece in pieces:
        received += len(piece)
        made = torch.from_numpy(stream.resample_chunk(piece.numpy()))
        emitted += len(made)
        if len(made):
            yield made
    silence = np.zeros(from_rate // to_rate + 1, dtype=np.float32)  # as in resample
    rest = torch.from_numpy(stream.resample_chunk(silence, last=True))
    yield rest[: -(-received * to_rate // from_rate) - emitted]


def checked_rate(name: str, rate: int) -> int:
    """Check a sample rate in Hz.

    Raises:
        ValueError: the rate is not a positive whole number; names the argument.
    """
    with suppress(ValueError):
        if (number := whole(rate, name)) > 0:
            return number
    raise ValueError(f"expected {name} to be a positive integer, in Hz; got {rate!r}")

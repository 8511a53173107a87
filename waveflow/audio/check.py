"""Check whether a mel can belong to a convention."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel

SLACK = 2.0
"""Nats by which a predicted log-mel may leave the range of recorded audio."""


def check_mel(mel: Tensor, log_mel: LogMel) -> None:
    """Refuse a mel that cannot belong to the convention of ``log_mel``.

    Args:
        mel: the mel to check, (batch, n_mels, frames), natural log.
        log_mel: front end of the convention.

    Raises:
        ValueError: wrong type, shape, or range, or values that are not finite.
    """
    config = log_mel.config
    if not isinstance(mel, Tensor) or not mel.is_floating_point():
        got = mel.dtype if isinstance(mel, Tensor) else type(mel).__name__
        raise ValueError(f"mel: expected a floating-point tensor; got {got}")
    if mel.dim() != 3 or mel.shape[1] != config.n_mels or mel.shape[2] < 1 or mel.shape[0] < 1:
        hint = ""
        if mel.dim() == 3 and mel.shape[2] == config.n_mels:
            hint = "; it looks transposed: pass mel.mT"
        raise ValueError(
            f"mel: expected shape (batch, {config.n_mels}, frames); got {tuple(mel.shape)}{hint}"
        )
    # one copy from the GPU for both; a NaN makes both of them NaN
    low, high = torch.stack(torch.aminmax(mel.detach())).tolist()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError("mel: expected finite values; got NaN or infinity")
    floor, ceiling = math.log(config.clamp), log_mel.loudest()
    if low >= 0 or low < floor - SLACK or high > ceiling + SLACK:
        hint = "; all values are positive, as in a mel that is not logarithmic" if low >= 0 else ""
        raise ValueError(
            f"mel: expected natural-log values from {floor:.1f} to {ceiling:.1f}; "
            f"got {low:.1f} to {high:.1f}{hint}"
        )


class MelWarning(UserWarning):
    """A mel whose values are possible in its convention, but implausible for speech."""


SPEECH_DEVIATION = (1.3, 4.0)
"""Standard deviation, in nats, of the log-mels of speech: 1.32 to 3.5 over every 128 frames of 216
recordings in four conventions. A mel in decimal logarithms or with unit variance is below.
"""

HEADROOM = 0.7
"""Nats that a log-mel of speech stays below that of the loudest possible sound; the smallest
measured distance is 1.6."""

ENOUGH = 128
"""Fewest frames for which these statistics are meaningful."""


def diagnose_mel(mel: Tensor, log_mel: LogMel) -> str | None:
    """The reason why a mel is implausible although :func:`check_mel` accepts it, or None.

    Args:
        mel: the mel, (n_mels, frames), natural log.
        log_mel: front end of its declared convention.
    """
    if mel.shape[-1] < ENOUGH:
        return None
    mel = mel.detach().float()
    deviation, loudest = torch.stack([mel.std(), mel.max()]).tolist()
    low, high = SPEECH_DEVIATION
    if not low <= deviation <= high:
        hint = "decimal logarithms, or normalised values" if deviation < low else "decibels"
        return (
            f"mel: the standard deviation of its values is {deviation:.2f}, that of speech {low} "
            f"to {high}: {hint}? waveflow.interop.mels converts them"
        )
    if loudest > log_mel.loudest() - HEADROOM:
        return (
            f"mel: its loudest value is {loudest:.1f}, which only a pure tone at full scale has: "
            "filters without area normalisation, or another scaling?"
        )
    return None


def warn_if_implausible(mel: Tensor, log_mel: LogMel, *, stacklevel: int = 2) -> None:
    """Warn with :class:`MelWarning` if :func:`diagnose_mel` finds the mel implausible.

    Args:
        mel: the mel, (n_mels, frames), natural log.
        log_mel: front end of its declared convention.
        stacklevel: ``stacklevel`` of ``warnings.warn``, counted from the caller of this function.
    """
    reason = diagnose_mel(mel, log_mel)
    if reason is not None:
        warnings.warn(reason, MelWarning, stacklevel=stacklevel + 1)

"""Whether a foreign mel can be of the convention that it is taken for."""

from __future__ import annotations

import math
import warnings

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel

SLACK = 2.0
"""Nats by which a predicted log-mel may leave the range that recorded audio can have."""


def check_mel(mel: Tensor, log_mel: LogMel) -> None:
    """Refuse a mel that cannot be of the convention ``log_mel`` makes.

    Raises:
        ValueError: wrong type, shape, or range, or values that are not finite; says what was
            expected and what came.
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
    # in one copy, for which a GPU is waited for; NaN is both the least and the most
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
    """A mel that could be of its convention, but hardly of speech in it."""


SPEECH_DEVIATION = (1.3, 4.0)
"""Standard deviation, in nats, of the log-mels of speech: 1.32 to 3.5 over every 128 frames of 216
recordings in four conventions. A mel in decimal logarithms or with unit variance stays below."""

HEADROOM = 0.7
"""Nats that a log-mel of speech stays below that of the loudest sound there is; 1.6 and more were
measured."""

ENOUGH = 128
"""Frames from which on these statistics tell something."""


def doubt(mel: Tensor, log_mel: LogMel) -> str | None:
    """What speaks against a mel that :func:`check_mel` has let pass; None if nothing does.

    Args:
        mel: (n_mels, frames), natural logarithms.
        log_mel: the front end that it is taken to come from.
    """
    if mel.shape[-1] < ENOUGH:
        return None
    mel = mel.detach().float()
    deviation, loudest = torch.stack([mel.std(), mel.max()]).tolist()
    low, high = SPEECH_DEVIATION
    if not low <= deviation <= high:
        hint = "decimal logarithms, or normalised values" if deviation < low else "decibels"
        return (
            f"mel: its values vary by {deviation:.2f} (standard deviation), those of speech by "
            f"{low} to {high}: {hint}? waveflow.interop.mels converts them"
        )
    if loudest > log_mel.loudest() - HEADROOM:
        return (
            f"mel: its loudest value is {loudest:.1f}, as only a pure tone at full scale has it: "
            "filters without area normalisation, or another scaling?"
        )
    return None


def warn_of_doubt(mel: Tensor, log_mel: LogMel, *, stacklevel: int = 2) -> None:
    """Tell a :func:`doubt`, if there is one, as a :class:`MelWarning` for the caller.

    Args:
        mel: (n_mels, frames).
        log_mel: the front end that it is taken to come from.
        stacklevel: as for ``warnings.warn``, seen from the function that calls this one.
    """
    reason = doubt(mel, log_mel)
    if reason is not None:
        warnings.warn(reason, MelWarning, stacklevel=stacklevel + 1)

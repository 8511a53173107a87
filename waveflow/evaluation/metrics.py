"""Stand-ins for listeners: PESQ for quality, STOI for intelligibility."""

from __future__ import annotations

import math
import warnings

import numpy as np
from torch import Tensor

from waveflow.audio.io import resample

_PESQ_RATE = 16000


class NoSpeechError(ValueError):
    """A metric of speech was asked about silence, or about too little speech to judge."""


def pesq_wideband(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Wide-band PESQ (ITU-T P.862.2), from 1.0 to 4.64: what a listening panel would answer.

    Levels and constant delays are compensated before the comparison.

    Args:
        reference: (time,), the recording.
        degraded: (time,), what is judged.
        sample_rate: of both, Hz; they are resampled to 16 kHz.

    Raises:
        ImportError: the package ``pesq`` is missing; says how to install it.
        NoSpeechError: no utterance is found in the reference, or the degraded audio is silent.
        ValueError: the two do not have the same shape (time,), or are not finite.

    >>> import torch
    >>> tone = torch.sin(torch.arange(32000) / 7) * torch.hann_window(32000)
    >>> round(pesq_wideband(tone, tone, 16000), 2)
    4.64
    """
    _check(reference, degraded)
    try:
        from pesq import PesqError, pesq
    except ImportError as error:
        raise _missing("pesq") from error

    both = (resample(audio, sample_rate, _PESQ_RATE) for audio in (reference, degraded))
    try:
        score = float(pesq(_PESQ_RATE, *(audio.cpu().numpy() for audio in both), mode="wb"))
    except PesqError as error:
        reason = error.args[0].decode() if error.args else type(error).__name__
        raise NoSpeechError(f"PESQ: expected speech; got: {reason}") from None
    if not math.isfinite(score):
        raise NoSpeechError("PESQ: expected speech; it found none to compare")
    return score


def stoi(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Short-time objective intelligibility, at most 1 (identity).

    Taal et al., *An algorithm for intelligibility prediction of time-frequency weighted noisy
    speech*, 2011. Blind to level; a delay counts as damage.

    Args:
        reference: (time,), the recording.
        degraded: (time,), what is judged.
        sample_rate: of both, Hz.

    Raises:
        ImportError: the package ``pystoi`` is missing; says how to install it.
        NoSpeechError: silence, or fewer than 30 frames (0.4 s) of the reference are not silent.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    _check(reference, degraded)
    try:
        from pystoi import stoi as measure
    except ImportError as error:
        raise _missing("pystoi") from error

    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            arrays = (audio.double().cpu().numpy() for audio in (reference, degraded))
            return float(measure(*arrays, sample_rate))
        except (RuntimeWarning, np.exceptions.AxisError):
            raise NoSpeechError("STOI: expected at least 0.4 s of speech; got less") from None


def _check(reference: Tensor, degraded: Tensor) -> None:
    if reference.dim() != 1 or reference.shape != degraded.shape:
        raise ValueError(
            f"expected reference and degraded audio of one shape (time,); "
            f"got {tuple(reference.shape)} and {tuple(degraded.shape)}"
        )
    for name, audio in (("reference", reference), ("degraded", degraded)):
        if not audio.isfinite().all():
            raise ValueError(f"{name} audio: expected finite samples; got NaN or infinity")
        if not audio.any():
            raise NoSpeechError(f"{name} audio: expected speech; got silence")


def _missing(package: str) -> ImportError:
    return ImportError(f"this metric needs {package}: pip install 'waveflow[evaluate]'")

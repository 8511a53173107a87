"""Pitch and voicing of a copy against those of the recording."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.audio.sample_rate import resample
from waveflow.evaluation.cache import cached
from waveflow.evaluation.metrics import NoSpeechError, check_pair

LOWEST, HIGHEST = 65.0, 500.0
"""Range of pitch, Hz."""

_RATE = 22050
_HOP = 256
_FRAME = 2048


@dataclass(frozen=True)
class Pitch:
    """``cents`` (frames,) above 1 Hz, meaningful only where ``voiced`` (frames,) is true."""

    cents: Tensor
    voiced: Tensor


@cached
def track_pitch(audio: Tensor, sample_rate: int) -> Pitch:
    """The pitch of audio (time,) every 256 samples at 22.05 kHz, to the nearest 10 cents.

    Mauch and Dixon, *pYIN: a fundamental frequency estimator using probabilistic threshold
    distributions*, 2014, in librosa's implementation, from 65 to 500 Hz, in frames of 2048 samples.
    It takes about an eighth of the duration, and is cached.
    """
    from librosa import pyin  # imported late, because it imports numba

    samples = resample(audio.detach().double().cpu(), sample_rate, _RATE).numpy()
    hertz, voiced, _ = pyin(
        samples, fmin=LOWEST, fmax=HIGHEST, sr=_RATE, frame_length=_FRAME, hop_length=_HOP
    )
    cents = 1200 * torch.from_numpy(hertz).log2()
    return Pitch(cents, torch.from_numpy(voiced))


def f0_error(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Root mean square error of the pitch in cents, over frames that are voiced in both.

    A copy that is an octave off has 1200 cents; 0 is identity. It does not depend on the level.

    Args:
        reference: recording, (time,).
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz; they are resampled to 22.05 kHz.

    Raises:
        NoSpeechError: one of the two is silent, or no frame is voiced in both.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    check_pair(reference, degraded)
    return pitch_error(track_pitch(reference, sample_rate), track_pitch(degraded, sample_rate))


def voicing_f1(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """F1 of the copy's voiced frames against the recording's, from 0 to 1 (identity).

    The harmonic mean of precision and recall. Arguments and errors are those of
    :func:`f0_error`, except that a copy without voiced frames scores 0.
    """
    check_pair(reference, degraded)
    return voicing_score(track_pitch(reference, sample_rate), track_pitch(degraded, sample_rate))


def pitch_error(reference: Pitch, degraded: Pitch) -> float:
    """:func:`f0_error` of two tracks."""
    both = reference.voiced & degraded.voiced
    if not both.any():
        raise NoSpeechError("expected frames that are voiced in both; got none")
    difference = (reference.cents - degraded.cents)[both]
    return math.sqrt(difference.square().mean().item())


def voicing_score(reference: Pitch, degraded: Pitch) -> float:
    """:func:`voicing_f1` of two tracks."""
    if not reference.voiced.any():
        raise NoSpeechError("expected a reference with voiced frames; got none")
    both = int((reference.voiced & degraded.voiced).sum())
    return 2 * both / int(reference.voiced.sum() + degraded.voiced.sum())

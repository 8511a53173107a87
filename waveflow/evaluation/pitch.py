"""Pitch of a copy beside that of the recording: how far off, and where there is any."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.audio.sample_rate import resample
from waveflow.evaluation.memory import Memory
from waveflow.evaluation.metrics import NoSpeechError, check_pair

LOWEST, HIGHEST = 65.0, 500.0
"""Hz, between which pitch is looked for."""

_RATE = 22050
_HOP = 256
_FRAME = 2048


@dataclass(frozen=True)
class Pitch:
    """``cents`` (frames,) above 1 Hz, where ``voiced`` (frames,); elsewhere they mean nothing."""

    cents: Tensor
    voiced: Tensor


def track_pitch(audio: Tensor, sample_rate: int) -> Pitch:
    """The pitch of (time,) audio every 256 samples of 22.05 kHz, to the nearest 10 cents.

    Mauch and Dixon, *pYIN: a fundamental frequency estimator using probabilistic threshold
    distributions*, 2014, as librosa has it, from 65 to 500 Hz, in frames of 2048 samples. Takes
    about an eighth of the duration.
    """
    from librosa import pyin  # imported late: it brings numba along

    samples = resample(audio.detach().double().cpu(), sample_rate, _RATE).numpy()
    hertz, voiced, _ = pyin(
        samples, fmin=LOWEST, fmax=HIGHEST, sr=_RATE, frame_length=_FRAME, hop_length=_HOP
    )
    cents = 1200 * torch.from_numpy(hertz).log2()
    return Pitch(cents, torch.from_numpy(voiced))


def f0_error(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """Root mean square error of the pitch in cents, over frames that both call voiced.

    A copy that is an octave off is 1200 cents off; 0 is identity. Blind to level.

    Args:
        reference: (time,), the recording; its track is remembered.
        degraded: (time,), what is judged.
        sample_rate: of both, Hz; they are resampled to 22.05 kHz.

    Raises:
        NoSpeechError: one of the two is silent, or no frame is voiced in both.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    check_pair(reference, degraded)
    ours = reference_pitch(reference, sample_rate)
    return pitch_error(ours, track_pitch(degraded, sample_rate))


def voicing_f1(reference: Tensor, degraded: Tensor, sample_rate: int) -> float:
    """F1 of the copy's voiced frames against the recording's, from 0 to 1 (identity).

    The harmonic mean of precision and recall. Arguments and errors are those of
    :func:`f0_error`, but that a copy without any voiced frame scores 0.
    """
    check_pair(reference, degraded)
    ours = reference_pitch(reference, sample_rate)
    return voicing_score(ours, track_pitch(degraded, sample_rate))


def score_pitch(
    reference: Tensor, degraded: Tensor, sample_rate: int
) -> tuple[float | None, float | None]:
    """:func:`f0_error` and :func:`voicing_f1` of one tracking; None where there is none."""
    try:
        check_pair(reference, degraded)
        ours = reference_pitch(reference, sample_rate)
        theirs = track_pitch(degraded, sample_rate)
        f1 = voicing_score(ours, theirs)
    except NoSpeechError:
        return None, None
    try:
        return pitch_error(ours, theirs), f1
    except NoSpeechError:
        return None, f1


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


_memory: Memory[Pitch] = Memory()


def reference_pitch(audio: Tensor, sample_rate: int) -> Pitch:
    """:func:`track_pitch` of a reference, remembered for each copy of it."""
    return _memory.of(audio, sample_rate, track_pitch)

"""Tones in pauses: the artefact of flows that squeeze audio into groups."""

from __future__ import annotations

import torch
from torch import Tensor

from waveflow.evaluation.metrics import NoSpeechError, check_pair

WINDOW = 4096
"""Samples of the Hann window, of which each fourth part begins a new frame."""

PAUSE = 25.0
"""dB below the loudest frame of the reference, from which on a frame is a pause."""

NEAR, FAR = 3, 20
"""Bins on each side of a tone: those up to NEAR belong to it, further ones up to FAR do not."""

GROUPS = range(3, 129)
"""Numbers of groups whose tones are below the Nyquist frequency, and stand apart."""

_LEAST_POWER = 1e-12  # so that digital silence has no tones


def tone_prominence(reference: Tensor, degraded: Tensor, sample_rate: int, *, groups: int) -> float:
    """How far the loudest tone at a multiple of ``sample_rate / groups`` stands out, in dB.

    A flow on groups of samples can leave narrow tones at those frequencies, heard in pauses. The
    power spectrum of ``degraded`` is averaged (Welch) over the frames in which ``reference``
    pauses; the level of each multiple below the Nyquist frequency, the largest of its bin and
    the two beside it, is taken over the median of the bins 4 to 20 away on both sides. The
    largest of these is returned: a tone of amplitude A in white noise of variance v has
    10 lg(1 + A² 4096 / (6 v)). Chance alone gives some decibels, the more the less pause there is:
    the short ones of LJSpeech's recordings have 7 to 11, and a copy with that much has no tones.

    Args:
        reference: (time,), the recording; says where the pauses are.
        degraded: (time,), what is judged; the recording itself has a figure, too.
        sample_rate: of both, Hz.
        groups: of the flow, one of :data:`GROUPS`.

    Raises:
        NoSpeechError: one of the two is silent, or the reference has no pause.
        ValueError: the two do not have the same shape (time,), or are not finite; other groups.
    """
    if groups not in GROUPS:
        raise ValueError(f"expected {GROUPS[0]} to {GROUPS[-1]} groups; got {groups}")
    check_pair(reference, degraded)
    quiet = _pauses(reference.double().cpu())
    frames = degraded.double().cpu().unfold(0, WINDOW, WINDOW // 4)[quiet]
    window = torch.hann_window(WINDOW, dtype=torch.float64)
    power = torch.fft.rfft(frames * window).abs().square().mean(0) / window.square().sum()
    levels = 10 * power.clamp_min(_LEAST_POWER).log10()
    multiples = range(1, (groups + 1) // 2)
    return max(_prominence(levels, round(k * WINDOW / groups)) for k in multiples)


def _pauses(reference: Tensor) -> Tensor:
    """Which frames of the reference are quiet, (frames,)."""
    if len(reference) < WINDOW:
        raise NoSpeechError(f"expected at least {WINDOW} samples; got {len(reference)}")
    power = reference.unfold(0, WINDOW, WINDOW // 4).square().mean(1)
    quiet = power <= power.max() * 10 ** (-PAUSE / 10)
    if not quiet.any():
        raise NoSpeechError(f"expected a pause, {PAUSE:g} dB below speech; got none")
    return quiet


def _prominence(levels: Tensor, place: int) -> float:
    around = levels[max(place - FAR, 0) : place - NEAR], levels[place + NEAR + 1 :][: FAR - NEAR]
    return (levels[place - 1 : place + 2].max() - torch.cat(around).median()).item()

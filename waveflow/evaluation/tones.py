"""Tones in pauses: the artefact of flows that squeeze audio into groups."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.checks import whole
from waveflow.evaluation.metrics import NoSpeechError, check_pair

WINDOW, HOP = 1024, 256
"""Samples of the Hann window, and from a frame to the next: short, so that it fits into pauses."""

PAUSE = 35.0
"""dB below the loudest frame of the reference, from which on a frame is a pause."""

LEAST_FRAMES = 80
"""Of pause, 0.9 s at 22.05 kHz: with less, chance alone may give 3 dB."""

NEAR, FAR = 3, 6
"""Bins from a tone to its neighbourhood, on both sides: the window's main lobe ends at 2."""

GROUPS = range(3, 129)
"""Numbers of groups whose tones are below the Nyquist frequency, and stand apart."""

_LEAST_POWER = 2.0**-30 / 12  # what rounding to 16 bits adds to a sample; less is no tone
_DECIBELS = 10 / math.log(10)


@dataclass(frozen=True)
class PauseTones:
    """What the pauses of a clip tell of its tones; those of many clips are pooled.

    Attributes:
        frames: of pause.
        excess: dB, of each multiple of sample rate / groups below the Nyquist frequency, over its
            neighbourhood; the mean over the frames of differences of levels.
    """

    frames: int
    excess: tuple[float, ...]


def pause_tones(reference: Tensor, degraded: Tensor, *, groups: int) -> PauseTones:
    """Measure what stands at the multiples of sample rate / groups while ``reference`` pauses.

    Args:
        reference: (time,), the recording; says where the pauses are.
        degraded: (time,), what is judged; may be the recording itself.
        groups: of the flow, one of ``GROUPS``.

    Raises:
        NoSpeechError: one of the two is silent, or the reference has no pause.
        ValueError: the two do not have the same shape (time,), or are not finite; other groups.
    """
    if whole(groups, "groups") not in GROUPS:
        raise ValueError(f"expected {GROUPS[0]} to {GROUPS[-1]} groups; got {groups}")
    check_pair(reference, degraded)
    quiet = _pauses(reference.double().cpu())
    frames = degraded.double().cpu().unfold(0, WINDOW, HOP)[quiet]
    window = torch.hann_window(WINDOW, dtype=torch.float64, device="cpu")
    sides = torch.arange(NEAR, FAR + 1, dtype=torch.float64, device="cpu")
    bins = torch.cat([sides.new_zeros(1), -sides, sides])  # the tone, and around it
    multiples = torch.arange(1, (groups + 1) // 2, dtype=torch.float64, device="cpu")
    samples = torch.arange(WINDOW, dtype=torch.float64, device="cpu")
    cycles = (multiples[:, None] / groups + bins / WINDOW).flatten() * samples[:, None]
    waves = torch.polar(window[:, None].expand_as(cycles), 2 * math.pi * cycles)
    power = (frames @ waves.real).square() + (frames @ waves.imag).square()
    levels = (power / window.square().sum()).clamp_min(_LEAST_POWER).log10() * 10
    tone, *around = levels.mean(0).view(len(multiples), len(bins)).unbind(1)
    return PauseTones(len(frames), tuple((tone - torch.stack(around).mean(0)).tolist()))


def tone_prominence(clips: Iterable[PauseTones]) -> float | None:
    """How far the loudest tone at a multiple of sample rate / groups stands out of pauses, in dB.

    A flow on groups of samples can leave steady tones at those frequencies. One clip has too
    little pause to tell them from chance, so the pauses of all clips are pooled. With P(t, f) the
    power of frame t at frequency f, and ⟨ ⟩ the mean over all frames of pause of all clips, the
    excess of the k-th multiple is

        e(k) = ⟨10 lg P(t, f_k)⟩ - mean over d = ±3 … ±6 bins of ⟨10 lg P(t, f_k + d)⟩.

    Levels, not powers, are averaged: each frame counts alike, however loud it and its clip are,
    and speech that comes and goes hardly counts. In stationary noise, a tone ρ times its power in
    a bin has

        e = (10 / ln 10) (ln ρ + E₁(ρ) + γ),

    E₁ the exponential integral: for a loud tone, 2.5 dB more than ρ. This is solved for ρ, and
    10 lg(1 + ρ) of the largest e(k) returned: tone with noise over noise, what averaged powers
    would give, as for a tone of amplitude A in white noise of variance v they do:

        10 lg(1 + ρ),  ρ = A² 1024 / (6 v).

    Where noise is not steady, it is its mean level that counts: a tone 12 dB above that of each
    clip's pauses in LJSpeech reads 12.4 to 13.4.

    Chance adds: the level of noise in one frame scatters by 5.6 dB, hence e(k) by 7.8 / √frames
    dB, as frames overlap. In 99 of 100 draws of noise, the loudest of 31 multiples is below 2.5 dB
    of 80 frames, 1.2 dB of 440 (five clips of LJSpeech) and 0.7 dB of 1350 (twenty). Nothing is
    subtracted for it. Spectra that are not smooth add, too: LJSpeech's recordings have 2.0 dB for
    64 groups, 0.4 dB for 8.

    Returns:
        None if there are fewer than ``LEAST_FRAMES`` frames of pause. A negative figure is
        e itself: nothing stands out.
    """
    clips = list(clips)
    frames = sum(clip.frames for clip in clips)
    if frames < LEAST_FRAMES:
        return None
    excess = zip(*([clip.frames * e for e in clip.excess] for clip in clips), strict=True)
    return _over_noise(max(map(sum, excess)) / frames)


def _over_noise(excess: float) -> float:
    """Of mean levels -> of mean powers, dB; within 0.04 dB."""
    if excess <= 0:
        return excess
    growth = math.expm1(excess / _DECIBELS)  # rho for few, exp(Euler's gamma) rho for many
    return _DECIBELS * math.log1p(growth * (1 + 0.3511 * growth) / (1 + 0.6254 * growth))


def _pauses(reference: Tensor) -> Tensor:
    """Which frames of the reference are quiet, (frames,)."""
    if len(reference) < WINDOW:
        raise NoSpeechError(f"expected at least {WINDOW} samples; got {len(reference)}")
    power = reference.unfold(0, WINDOW, HOP).square().mean(1)
    quiet = power <= power.max() * 10 ** (-PAUSE / 10)
    if not quiet.any():
        raise NoSpeechError(f"expected a pause, {PAUSE:g} dB below speech; got none")
    return quiet

"""Tones in pauses: an artefact of flows that squeeze audio into groups."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.checks import whole
from waveflow.evaluation.metrics import NoSpeechError, check_pair

WINDOW, HOP = 1024, 256
"""Length of the Hann window and hop, in samples; short enough to fit into pauses."""

PAUSE = 35.0
"""A frame is a pause if it is at least this many dB below the loudest frame of the reference."""

LEAST_FRAMES = 80
"""Least number of frames of pause, 0.9 s at 22.05 kHz; with fewer, chance alone may give 3 dB."""

NEAR, FAR = 3, 6
"""Distance in bins from a tone to its neighbourhood, on both sides; the window's main lobe ends at
2."""

GROUPS = range(3, 129)
"""Numbers of groups whose tones are below the Nyquist frequency and far enough apart."""

_LEAST_POWER = 2.0**-30 / 12  # power of rounding to 16 bits; smaller values are no tone
_DECIBELS = 10 / math.log(10)


@dataclass(frozen=True)
class PauseTones:
    """Measurement of tones in the pauses of a clip, to be pooled with those of other clips.

    Attributes:
        frames: number of frames of pause.
        excess: level in dB of each multiple of sample rate / groups below the Nyquist frequency,
            relative to its neighbourhood; averaged over the frames.
    """

    frames: int
    excess: tuple[float, ...]


def pause_tones(reference: Tensor, degraded: Tensor, *, groups: int) -> PauseTones:
    """Measure tones at multiples of sample rate / groups in the pauses of ``reference``.

    Args:
        reference: recording, (time,), which gives the pauses.
        degraded: audio to judge, (time,); may be the recording itself.
        groups: groups of the flow, one of ``GROUPS``.

    Raises:
        NoSpeechError: one of the two is silent, or the reference has no pause.
        ValueError: the two do not have the same shape (time,), or are not finite; or ``groups`` is
            out of range.
    """
    if whole(groups, "groups") not in GROUPS:
        raise ValueError(f"expected {GROUPS[0]} to {GROUPS[-1]} groups; got {groups}")
    check_pair(reference, degraded)
    quiet = _pauses(reference.double().cpu())
    frames = degraded.double().cpu().unfold(0, WINDOW, HOP)[quiet]
    window = torch.hann_window(WINDOW, dtype=torch.float64, device="cpu")
    sides = torch.arange(NEAR, FAR + 1, dtype=torch.float64, device="cpu")
    bins = torch.cat([sides.new_zeros(1), -sides, sides])  # the tone, and its neighbourhood
    multiples = torch.arange(1, (groups + 1) // 2, dtype=torch.float64, device="cpu")
    samples = torch.arange(WINDOW, dtype=torch.float64, device="cpu")
    cycles = (multiples[:, None] / groups + bins / WINDOW).flatten() * samples[:, None]
    waves = torch.polar(window[:, None].expand_as(cycles), 2 * math.pi * cycles)
    power = (frames @ waves.real).square() + (frames @ waves.imag).square()
    levels = (power / window.square().sum()).clamp_min(_LEAST_POWER).log10() * 10
    tone, *around = levels.mean(0).view(len(multiples), len(bins)).unbind(1)
    return PauseTones(len(frames), tuple((tone - torch.stack(around).mean(0)).tolist()))


def tone_prominence(clips: Iterable[PauseTones]) -> float | None:
    """Level in dB of the loudest tone at a multiple of sample rate / groups, relative to pauses.

    A flow on groups of samples can leave steady tones at those frequencies. The pauses of one clip
    are too short to distinguish tones from chance, so the pauses of all clips are pooled. With
    P(t, f) the power of frame t at frequency f, and ⟨ ⟩ the mean over all frames of pause of all
    clips, the excess of the k-th multiple is

        e(k) = ⟨10 lg P(t, f_k)⟩ - mean over d = ±3 … ±6 bins of ⟨10 lg P(t, f_k + d)⟩.

    Levels are averaged, not powers: all frames count equally, whatever their loudness, and
    intermittent speech hardly counts. In stationary noise, a tone with ρ times the power of the
    noise in a bin has

        e = (10 / ln 10) (ln ρ + E₁(ρ) + γ),

    with the exponential integral E₁; for a loud tone this is 2.5 dB more than ρ. The equation is
    solved for ρ, and the result is 10 lg(1 + ρ) for the largest e(k): the ratio of tone plus noise
    to noise, as averaged powers would give it. For a tone of amplitude A in white noise of
    variance v it is

        10 lg(1 + ρ),  ρ = A² 1024 / (6 v).

    In noise that is not stationary, its mean level counts: a tone 12 dB above the mean level of
    each clip's pauses in LJSpeech gives 12.4 to 13.4 dB.

    Chance increases the figure: the level of noise in one frame scatters by 5.6 dB, and so e(k) by
    7.8 / √frames dB, because frames overlap. In 99 of 100 draws of noise, the loudest of 31
    multiples is below 2.5 dB with 80 frames, 1.2 dB with 440 (five clips of LJSpeech) and 0.7 dB
    with 1350 (twenty clips). This is not subtracted. Spectra that are not smooth also increase the
    figure: LJSpeech's recordings have 2.0 dB for 64 groups and 0.4 dB for 8.

    Args:
        clips: measurements of all clips.

    Returns:
        The level in dB; None if there are fewer than ``LEAST_FRAMES`` frames of pause. A negative
        figure is e itself and means that there is no tone.
    """
    clips = list(clips)
    frames = sum(clip.frames for clip in clips)
    if frames < LEAST_FRAMES:
        return None
    excess = zip(*([clip.frames * e for e in clip.excess] for clip in clips), strict=True)
    return _over_noise(max(map(sum, excess)) / frames)


def _over_noise(excess: float) -> float:
    """Convert an excess of mean levels to one of mean powers, in dB; accurate to 0.04 dB."""
    if excess <= 0:
        return excess
    growth = math.expm1(excess / _DECIBELS)  # rho if small, exp(Euler's gamma) rho if large
    return _DECIBELS * math.log1p(growth * (1 + 0.3511 * growth) / (1 + 0.6254 * growth))


def _pauses(reference: Tensor) -> Tensor:
    """Whether each frame of the reference is quiet, (frames,)."""
    if len(reference) < WINDOW:
        raise NoSpeechError(f"expected at least {WINDOW} samples; got {len(reference)}")
    power = reference.unfold(0, WINDOW, HOP).square().mean(1)
    quiet = power <= power.max() * 10 ** (-PAUSE / 10)
    if not quiet.any():
        raise NoSpeechError(f"expected a pause, {PAUSE:g} dB below speech; got none")
    return quiet

"""Periodicity and pitch of a copy against those of the recording, by a neural pitch tracker."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.sample_rate import resample
from waveflow.evaluation.cache import cached
from waveflow.evaluation.metrics import NoSpeechError, check_pair, judged, needed
from waveflow.evaluation.pitch import Pitch, pitch_error, voicing_score

LOWEST, HIGHEST = 50.0, 550.0
"""Range of pitch, Hz."""

_RATE, _WINDOW = 16000, 1024  # CREPE's sample rate and samples of a frame
_HOP = 256 / 22050  # seconds
_BATCH = 1024  # frames per call of the network
_LEAST = 0.19  # least periodicity of a voiced frame in CARGAN's hysteresis
_CENTS, _FIRST = 20, 1997.3794084376191  # width of a bin, and pitch of bin 0 above 10 Hz


@dataclass(frozen=True)
class CrepeTrack:
    """``pitch``, and ``periodicity`` (frames,) from 0 to 1, every 256 samples at 22.05 kHz."""

    pitch: Pitch
    periodicity: Tensor


@dataclass(frozen=True)
class CrepeScore:
    """Comparison of two tracks.

    Attributes:
        periodicity_error: root mean square over all frames, 0 (identity) to 1.
        pitch_error: root mean square in cents over frames voiced in both; None if there are none.
        voicing_f1: F1 of the voiced frames, 0 to 1 (identity); None if the recording has none.
    """

    periodicity_error: float
    pitch_error: float | None
    voicing_f1: float | None


def crepe_score(reference: Tensor, degraded: Tensor, sample_rate: int) -> CrepeScore:
    """Periodicity error, pitch error and V/UV F1 by CREPE, as in the tables of CARGAN.

    It measures, frame by frame, whether a voice is as periodic as the recording below 8 kHz, and
    its pitch. It does not detect noise between the harmonics of the upper bands, or timbre.

    Morrison et al., *Chunked autoregressive GAN for conditional waveform synthesis*, 2022,
    https://arxiv.org/abs/2110.10139; Kim et al., *CREPE: a convolutional representation for pitch
    estimation*, 2018. With p the periodicity of a frame, the error is

        sqrt(mean over frames of (p - p')²).

    Args:
        reference: recording, (time,).
        degraded: copy to judge, (time,).
        sample_rate: sample rate of both, Hz; they are resampled to 16 kHz.

    Raises:
        ImportError: the package ``torchcrepe`` is missing; says how to install it.
        NoSpeechError: one of the two is silent, or too short for a frame.
        ValueError: the two do not have the same shape (time,), or are not finite.
    """
    check_pair(reference, degraded)
    ours, theirs = (track_crepe(audio, sample_rate) for audio in (reference, degraded))
    return CrepeScore(
        (ours.periodicity - theirs.periodicity).square().mean().sqrt().item(),
        judged(pitch_error, ours.pitch, theirs.pitch),
        judged(voicing_score, ours.pitch, theirs.pitch),
    )


@cached
@torch.no_grad()
def track_crepe(audio: Tensor, sample_rate: int) -> CrepeTrack:
    """Pitch and periodicity of audio (time,) by CREPE's "full" network on the CPU.

    The procedure is CARGAN's: a hop of 185 samples at 16 kHz with reflected ends; Viterbi decoding
    from 50 to 550 Hz; periodicity 0 below -60 dB of A-weighted loudness; linear interpolation to a
    hop of 256 samples at 22.05 kHz; voicing by hysteresis (at least 0.19, at least 0.31 somewhere
    in a voiced stretch, and more far from the mean pitch). Unlike the package, it adds no random
    dither of ±20 cents to the pitch, so a figure depends on the audio alone. It takes about four
    times the duration on one core, and is cached.

    Raises:
        ImportError: the package ``torchcrepe`` is missing; says how to install it.
        NoSpeechError: the audio is too short for a frame.
    """
    package = needed("torchcrepe", extra="quality")
    samples = resample(audio.detach().float().cpu(), sample_rate, _RATE)[None]
    frames = int(len(audio) / sample_rate / _HOP + 1e-6)
    hop = int(_HOP * _RATE)
    padding = (_WINDOW - hop) // 2
    if samples.shape[1] <= padding or not frames:
        raise NoSpeechError(f"expected more than {padding} samples at 16 kHz; got fewer")
    samples = functional.pad(samples[None], (padding, padding), mode="reflect")[0]

    def decode(logits: Tensor) -> tuple[Tensor, Tensor]:
        state = np.random.get_state()
        bins, _ = package.decode.viterbi(logits)
        np.random.set_state(state)  # the package draws its dither from the global generator
        return bins, _CENTS * bins + _FIRST

    cents, periodicity = package.predict(
        samples,
        _RATE,
        hop,
        LOWEST,
        HIGHEST,
        model="full",
        decoder=decode,
        return_periodicity=True,
        batch_size=_BATCH,
        pad=False,
    )
    quiet = package.threshold.Silence()
    periodicity = quiet(periodicity, samples, _RATE, hop_length=hop, pad=False)
    both = torch.stack([cents.float(), periodicity])
    cents, periodicity = functional.interpolate(both, frames, mode="linear")[:, 0]
    voiced = _voiced(package, 10 * 2 ** (cents / 1200), periodicity)
    return CrepeTrack(Pitch(cents, voiced), periodicity)


def _voiced(package: Any, hertz: Tensor, periodicity: Tensor) -> Tensor:
    """Whether each frame is voiced by the package's hysteresis, (frames,)."""
    if not (periodicity >= _LEAST).any():
        return torch.zeros_like(hertz, dtype=torch.bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a single voiced frame has no deviation
        return ~package.threshold.Hysteresis()(hertz[None], periodicity[None])[0].isnan()

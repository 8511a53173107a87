"""Computation of the tab *Likelihood*: a recording, optionally damaged, and nats per frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.quantise import dequantise, fixed_noise, quantise
from waveflow.demo.backend import Backend
from waveflow.demo.reading import read_upload
from waveflow.evaluation.local_likelihood import local_log_prob
from waveflow.vocoder import Vocoder

SMOOTHING = 9
"""Frames of the running mean in the picture, an odd number: a tenth of a second."""


@dataclass(frozen=True)
class Inspection:
    """The local likelihood of a recording.

    Attributes:
        audio: audio, (time,), with the damage.
        sample_rate: sample rate, Hz.
        hop_length: samples per frame.
        nats: nats per sample, (frames,); their mean is the nats per sample of the recording.
        surprise: nats per sample below the average of the vocoder's own samples, (frames,).
        damaged: start and end of the damage, seconds; None if there is none.
    """

    audio: Tensor
    sample_rate: int
    hop_length: int
    nats: Tensor
    surprise: Tensor
    damaged: tuple[float, float] | None


def inspect_recording(backend: Backend, model: str, path: str | None, damage: str) -> Inspection:
    """The local likelihood of an upload, after damage to its middle second if requested.

    Raises:
        ValueError: the upload is not valid, or the damage is unknown.
    """
    vocoder = backend.vocoder(model)
    config = vocoder.config.mel
    audio = read_upload(backend, model, path).audio
    span = None
    if damage != UNDAMAGED:
        if damage not in DAMAGES:
            raise ValueError(f"expected damage among {', '.join(DAMAGES)}; got {damage}")
        start, stop = middle_second(len(audio), config.sample_rate, config.hop_length)
        audio = damaged(vocoder, audio, damage, start, stop)
        span = start / config.sample_rate, stop / config.sample_rate
    # dequantised, as for all likelihoods of recordings
    local = local_log_prob(vocoder, dequantise(quantise(audio), fixed_noise(len(audio)))[None])
    nats, surprise = (part[0] / config.hop_length for part in (local.nats, local.surprise))
    return Inspection(audio, config.sample_rate, config.hop_length, nats, surprise, span)


def smooth(values: Tensor) -> Tensor:
    """The running mean over :data:`SMOOTHING` frames, fewer at the ends, (frames,) -> (frames,)."""
    padding = SMOOTHING // 2
    return functional.avg_pool1d(
        values[None], SMOOTHING, 1, padding=padding, count_include_pad=False
    )[0]


def middle_second(samples: int, sample_rate: int, hop_length: int) -> tuple[int, int]:
    """Start and end of the middle second, on whole hops; of a short clip, the middle third."""
    length = min(sample_rate, samples // 3) // hop_length * hop_length
    start = (samples - length) // 2 // hop_length * hop_length
    return start, start + length


def damaged(vocoder: Vocoder, audio: Tensor, damage: str, start: int, stop: int) -> Tensor:
    """Audio (time,) with the samples from ``start`` to before ``stop`` damaged.

    Args:
        vocoder: vocoder that makes a copy, for the damage ``vocoded``.
        audio: recording, (time,).
        damage: a key of :data:`DAMAGES`.
        start: first damaged sample.
        stop: first sample after the damage.
    """
    result = audio.clone()
    result[start:stop] = DAMAGES[damage](vocoder, audio, start, stop).clamp(-1, 1)
    return result


def _clipped(vocoder: Vocoder, audio: Tensor, start: int, stop: int) -> Tensor:
    """The part, clipped at a quarter of its peak."""
    part = audio[start:stop]
    limit = part.abs().max().item() / 4
    return part.clamp(-limit, limit)


def _noisy(vocoder: Vocoder, audio: Tensor, start: int, stop: int) -> Tensor:
    """The part with white noise 20 dB below it."""
    part = audio[start:stop]
    generator = torch.Generator(part.device).manual_seed(0)
    noise = torch.randn(len(part), generator=generator, dtype=part.dtype, device=part.device)
    return part + 0.1 * part.square().mean().sqrt() * noise


def _vocoded(vocoder: Vocoder, audio: Tensor, start: int, stop: int) -> Tensor:
    """A copy by the vocoder that computes the likelihood."""
    frames = len(audio) // vocoder.config.mel.hop_length
    mel = vocoder.mel(audio[None])[..., :frames]
    return vocoder(mel, seed=0, mel_config=vocoder.config.mel)[0, start:stop]


def _muted(vocoder: Vocoder, audio: Tensor, start: int, stop: int) -> Tensor:
    """Digital silence."""
    return audio.new_zeros(stop - start)


UNDAMAGED = "unchanged"

DAMAGES: dict[str, Callable[[Vocoder, Tensor, int, int], Tensor]] = {
    "clipped": _clipped,
    "noise, 20 dB below": _noisy,
    "vocoded": _vocoded,
    "muted": _muted,
}
"""Damages to the middle second of a recording, by name."""

"""Computation of the tab *Vocode*."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel
from waveflow.demo.reading import converted, read_mel_upload, read_upload
from waveflow.demo.studio import Studio
from waveflow.evaluation.recording import bits_per_sample, nats_per_sample


@dataclass(frozen=True)
class Wishes:
    """Options of synthesis.

    Attributes:
        model: name of a vocoder in the studio.
        temperature: standard deviation of the noise.
        consistency: iterations of mel consistency.
        seed: seed of the noise.
        denoise: strength of the denoiser.
    """

    model: str
    temperature: float
    consistency: int
    seed: int = 0
    denoise: float = 0.0


@dataclass(frozen=True)
class Sound:
    """A synthesised sound, with its two mels and its figures.

    Attributes:
        audio: audio, (time,), in [-1, 1].
        sample_rate: sample rate, Hz.
        asked: input mel, (n_mels, frames).
        made: mel of the audio, (n_mels, frames).
        times_real_time: seconds of audio per second of computation, with one thread.
        nats: log-likelihood of the recording, nats per sample; None for a mel file.
        doubt: warning that the mel's values are implausible; None if they are plausible.
    """

    audio: Tensor
    sample_rate: int
    asked: Tensor
    made: Tensor
    times_real_time: float
    nats: float | None = None
    doubt: str | None = None

    @property
    def bits(self) -> float | None:
        """Upper bound on the cost of the 16-bit recording, bits per sample."""
        return None if self.nats is None else bits_per_sample(self.nats)

    @property
    def seconds(self) -> float:
        """Length of the audio, seconds."""
        return len(self.audio) / self.sample_rate

    @property
    def mel_distance(self) -> float:
        """Mean absolute difference of the two mels, nats."""
        return (self.asked - self.made).abs().mean().item()


def vocode_recording(studio: Studio, path: str | None, wishes: Wishes) -> Sound:
    """Copy synthesis of an uploaded recording, and its exact likelihood.

    Raises:
        ValueError: the upload or an option is not valid.
    """
    vocoder = studio.vocoder(wishes.model)
    recording = read_upload(path, studio.log_mel(wishes.model), studio.limits)
    nats = nats_per_sample(vocoder, recording)
    return _made(studio, recording.mel, wishes, nats=nats)


def vocode_mel(
    studio: Studio, path: str | None, wishes: Wishes, convention: str | None = None
) -> Sound:
    """Synthesis from an uploaded mel file.

    Raises:
        ValueError: the upload or an option is not valid.
    """
    log_mel = studio.log_mel(wishes.model)
    mel, declared = read_mel_upload(path, studio.limits, log_mel.config)
    mel, doubt = converted(mel, declared, convention, log_mel)
    return _made(studio, mel[0], wishes, doubt=doubt)


def _made(
    studio: Studio,
    mel: Tensor,
    wishes: Wishes,
    *,
    nats: float | None = None,
    doubt: str | None = None,
) -> Sound:
    if not 0 <= wishes.consistency <= studio.limits.consistency:
        raise ValueError(
            f"expected 0 to {studio.limits.consistency} iterations; got {wishes.consistency}"
        )
    vocoder = studio.vocoder(wishes.model)
    vocoder.engine()  # built once, and not part of the measured time
    how = (wishes.temperature, wishes.consistency)
    start = time.perf_counter()
    audio = vocoder(mel[None], temperature=how[0], consistency=how[1], seed=wishes.seed)
    seconds = time.perf_counter() - start
    if wishes.denoise:
        audio = studio.denoiser(wishes.model, *how)(audio, strength=wishes.denoise)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio from this mel; got NaN")
    audio = audio[0].clamp(-1, 1)
    config = vocoder.config.mel
    made = _mel_of(audio, studio.log_mel(wishes.model), mel)
    length = len(audio) / config.sample_rate
    return Sound(audio, config.sample_rate, mel, made, length / seconds, nats, doubt)


def _mel_of(audio: Tensor, log_mel: LogMel, like: Tensor) -> Tensor:
    """The mel of a sound, with as many frames as the input mel."""
    shortest = log_mel.config.n_fft
    if len(audio) < shortest:
        audio = torch.nn.functional.pad(audio, (0, shortest - len(audio)))
    return log_mel(audio[None])[0, :, : like.shape[-1]]

"""Computation of the tab *Vocode*."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional

from waveflow.demo.backend import Backend
from waveflow.demo.reading import check_iterations, read_mel_upload, read_upload
from waveflow.evaluation.recording import nats_per_sample


@dataclass(frozen=True)
class SynthesisOptions:
    """Options of synthesis.

    Attributes:
        model: name of a vocoder in the backend.
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
        input_mel: input mel, (n_mels, frames).
        output_mel: mel of the audio, (n_mels, frames).
        times_real_time: seconds of audio per second of computation, with one thread.
        nats: log-likelihood of the recording, nats per sample; None for a mel file.
        warning: warning that the mel's values are implausible; None if they are plausible.
    """

    audio: Tensor
    sample_rate: int
    input_mel: Tensor
    output_mel: Tensor
    times_real_time: float
    nats: float | None = None
    warning: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the audio, seconds."""
        return len(self.audio) / self.sample_rate

    @property
    def mel_distance(self) -> float:
        """Mean absolute difference of the two mels, nats."""
        return (self.input_mel - self.output_mel).abs().mean().item()


def vocode_recording(backend: Backend, path: str | None, options: SynthesisOptions) -> Sound:
    """Copy synthesis of an uploaded recording, and its exact likelihood.

    Raises:
        ValueError: the upload or an option is not valid.
    """
    recording = read_upload(backend, options.model, path)
    nats = nats_per_sample(backend.vocoder(options.model), recording)
    return replace(_synthesise(backend, recording.mel, options), nats=nats)


def vocode_mel(
    backend: Backend, path: str | None, options: SynthesisOptions, convention: str | None = None
) -> Sound:
    """Synthesis from an uploaded mel file.

    Raises:
        ValueError: the upload or an option is not valid.
    """
    mel, warning = read_mel_upload(backend, options.model, path, convention)
    return replace(_synthesise(backend, mel[0], options), warning=warning)


def _synthesise(backend: Backend, mel: Tensor, options: SynthesisOptions) -> Sound:
    """The sound of a mel, (n_mels, frames)."""
    check_iterations(options.consistency, backend.limits)
    vocoder, log_mel = backend.vocoder(options.model), backend.log_mel(options.model)
    temperature, consistency = options.temperature, options.consistency
    vocoder.engine()  # built once, and not part of the measured time
    start = time.perf_counter()
    audio = vocoder(mel[None], temperature=temperature, consistency=consistency, seed=options.seed)
    seconds = time.perf_counter() - start
    if options.denoise:
        denoiser = backend.denoiser(options.model, temperature, consistency)
        audio = denoiser(audio, strength=options.denoise)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio from this mel; got NaN")
    audio = audio[0].clamp(-1, 1)
    padded = functional.pad(audio, (0, max(0, log_mel.shortest - len(audio))))
    output_mel = log_mel(padded[None])[0, :, : mel.shape[-1]]
    rate = log_mel.config.sample_rate
    return Sound(audio, rate, mel, output_mel, len(audio) / rate / seconds)

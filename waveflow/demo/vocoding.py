"""Computation of the tab *Vocode*."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel
from waveflow.demo.backend import Backend
from waveflow.demo.reading import converted, read_mel_upload, read_upload
from waveflow.evaluation.recording import bits_per_sample, nats_per_sample


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
        return (self.input_mel - self.output_mel).abs().mean().item()


def vocode_recording(backend: Backend, path: str | None, options: SynthesisOptions) -> Sound:
    """Copy synthesis of an uploaded recording, and its exact likelihood.

    Raises:
        ValueError: the upload or an option is not valid.
    """
    vocoder = backend.vocoder(options.model)
    recording = read_upload(path, backend.log_mel(options.model), backend.limits)
    nats = nats_per_sample(vocoder, recording)
    return _synthesise(backend, recording.mel, options, nats=nats)


def vocode_mel(
    backend: Backend, path: str | None, options: SynthesisOptions, convention: str | None = None
) -> Sound:
    """Synthesis from an uploaded mel file.

    Raises:
        ValueError: the upload or an option is not valid.
    """
    log_mel = backend.log_mel(options.model)
    mel, declared = read_mel_upload(path, backend.limits, log_mel.config)
    mel, warning = converted(mel, declared, convention, log_mel)
    return _synthesise(backend, mel[0], options, warning=warning)


def _synthesise(
    backend: Backend,
    mel: Tensor,
    options: SynthesisOptions,
    *,
    nats: float | None = None,
    warning: str | None = None,
) -> Sound:
    if not 0 <= options.consistency <= backend.limits.consistency:
        raise ValueError(
            f"expected 0 to {backend.limits.consistency} iterations; got {options.consistency}"
        )
    vocoder = backend.vocoder(options.model)
    vocoder.engine()  # built once, and not part of the measured time
    synthesis = (options.temperature, options.consistency)
    start = time.perf_counter()
    audio = vocoder(
        mel[None], temperature=synthesis[0], consistency=synthesis[1], seed=options.seed
    )
    seconds = time.perf_counter() - start
    if options.denoise:
        audio = backend.denoiser(options.model, *synthesis)(audio, strength=options.denoise)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio from this mel; got NaN")
    audio = audio[0].clamp(-1, 1)
    config = vocoder.config.mel
    output_mel = _mel_of(audio, backend.log_mel(options.model), mel)
    length = len(audio) / config.sample_rate
    return Sound(audio, config.sample_rate, mel, output_mel, length / seconds, nats, warning)


def _mel_of(audio: Tensor, log_mel: LogMel, input_mel: Tensor) -> Tensor:
    """The mel of a sound, with as many frames as the input mel."""
    shortest = log_mel.config.n_fft
    if len(audio) < shortest:
        audio = torch.nn.functional.pad(audio, (0, shortest - len(audio)))
    return log_mel(audio[None])[0, :, : input_mel.shape[-1]]

"""What the tab *Vocode* shows of a recording or a mel."""

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
    """How a sound is to be made.

    Attributes:
        model: a name of the studio's.
        temperature: standard deviation of the noise.
        consistency: iterations of mel consistency.
        seed: of the noise.
        denoise: strength of the denoiser.
    """

    model: str
    temperature: float
    consistency: int
    seed: int = 0
    denoise: float = 0.0


@dataclass(frozen=True)
class Sound:
    """A sound, the mel that was asked for, and what there is to tell.

    Attributes:
        audio: (time,) in [-1, 1].
        sample_rate: Hz.
        asked: the mel that was asked for, (n_mels, frames).
        made: the mel of the audio, likewise.
        times_real_time: seconds of audio made in one second, by one thread.
        nats: log-likelihood of the recording, nats per sample; None of a mel file.
        doubt: what speaks against the mel's convention, if anything does.
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
        """What the 16-bit recording costs at most, bits per sample."""
        return None if self.nats is None else bits_per_sample(self.nats)

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.audio) / self.sample_rate

    @property
    def mel_distance(self) -> float:
        """Mean absolute difference of the two mels, nats."""
        return (self.asked - self.made).abs().mean().item()


def vocode_recording(studio: Studio, path: str | None, wishes: Wishes) -> Sound:
    """Copy synthesis of an upload, and its exact likelihood.

    Raises:
        ValueError: an upload or a wish that cannot be used.
    """
    vocoder = studio.vocoder(wishes.model)
    recording = read_upload(path, studio.log_mel(wishes.model), studio.limits)
    nats = nats_per_sample(vocoder, recording)
    return _made(studio, recording.mel, wishes, nats=nats)


def vocode_mel(
    studio: Studio, path: str | None, wishes: Wishes, convention: str | None = None
) -> Sound:
    """The sound of an uploaded mel file.

    Raises:
        ValueError: an upload or a wish that cannot be used.
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
    vocoder.engine()  # made once, and no part of the time
    how = (wishes.temperature, wishes.consistency)
    start = time.perf_counter()
    audio = vocoder(mel[None], temperature=how[0], consistency=how[1], seed=wishes.seed)
    seconds = time.perf_counter() - start
    if wishes.denoise:
        audio = studio.denoiser(wishes.model, *how)(audio, strength=wishes.denoise)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio of this mel; got NaN")
    audio = audio[0].clamp(-1, 1)
    config = vocoder.config.mel
    made = _mel_of(audio, studio.log_mel(wishes.model), mel)
    length = len(audio) / config.sample_rate
    return Sound(audio, config.sample_rate, mel, made, length / seconds, nats, doubt)


def _mel_of(audio: Tensor, log_mel: LogMel, like: Tensor) -> Tensor:
    """The mel of a sound, with as many frames as the one that was asked for."""
    shortest = log_mel.config.n_fft
    if len(audio) < shortest:
        audio = torch.nn.functional.pad(audio, (0, shortest - len(audio)))
    return log_mel(audio[None])[0, :, : like.shape[-1]]

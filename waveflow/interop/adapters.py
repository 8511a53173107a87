"""Adapters that give a vocoder the call signature of another project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from waveflow.audio.mel import MelConfig
from waveflow.checks import tensor, whole_numbers
from waveflow.interop import mels
from waveflow.interop.convention import MelConvention
from waveflow.noise import checked_seed
from waveflow.precision import single_or_better, uncompiled
from waveflow.vocoder import Vocoder


class Adapter(nn.Module):
    """The base of the adapters; each subclass has the call signature of one project.

    The mel is converted from its declared convention. If that differs from the vocoder's only in
    ``center``, the frames are half a hop earlier or later in the sound. The sound is then moved
    back, which loses half a hop at one end.

    Args:
        vocoder: vocoder that synthesises.
        convention: convention of the input mels; None is the vocoder's own.
        seed: seed of the noise: the same mel gives the same sound; None draws a new seed for each
            call.
        temperature: standard deviation of the noise; None is the vocoder's own.
        consistency: iterations of mel consistency; None is the vocoder's own.
        allow: fields in which the conventions may differ; see
            :func:`waveflow.interop.mels.convert`.

    Raises:
        ValueError: mels of this convention cannot be converted to the vocoder's; names the fields
            that differ.
    """

    def __init__(
        self,
        vocoder: Vocoder,
        *,
        convention: str | MelConvention | MelConfig | None = None,
        seed: int | None = 0,
        temperature: float | None = None,
        consistency: int | None = None,
        allow: Sequence[str] = (),
    ):
        super().__init__()
        own = vocoder.config.mel
        source = replace(
            mels.convention(own if convention is None else convention), frames_first=False
        )
        self.vocoder = vocoder
        vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
        self.seed = None if seed is None else checked_seed(seed)
        self.temperature, self.consistency = temperature, consistency
        self._convert = mels.converter(source, own, allow=("center", *allow))
        self._lag = mels.lag(source, own)

    def remove_weight_norm(self) -> None:
        """Do nothing: synthesis folds weight norm itself, and the vocoder keeps its weights."""

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        return self.vocoder.config.mel.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return self.vocoder.config.mel.hop_length

    @uncompiled
    def speak(
        self,
        mel: Tensor,
        lengths: Sequence[int] | Tensor | None = None,
        *,
        temperature: float | None = None,
    ) -> Tensor:
        """(batch, n_mels, frames) of the convention -> audio (batch, frames * hop_length).

        Args:
            mel: mel in the adapter's convention, (batch, n_mels, frames).
            lengths: number of frames of each example, (batch,); None if all are full.
            temperature: standard deviation of the noise; None is the adapter's.

        Raises:
            ValueError: ``mel`` is not a mel of the convention.
        """
        mel = tensor(mel, "mel")
        if mel.is_floating_point():
            mel = mel.to(single_or_better(mel.dtype))
        audio = self.vocoder(
            self._convert(mel),
            temperature=self.temperature if temperature is None else temperature,
            consistency=self.consistency,
            seed=self.seed,
            lengths=lengths,
        )
        return functional.pad(audio, (-self._lag, self._lag)) if self._lag else audio


class AsHiFiGAN(Adapter):
    """``(batch, n_mels, frames) -> (batch, 1, samples)``: HiFi-GAN, BigVGAN, Matcha-TTS."""

    def forward(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) or (n_mels, frames) -> (batch, 1, samples) or (1, samples)."""
        single = tensor(mel, "mel").dim() == 2
        audio = self.speak(mel[None] if single else mel)
        return audio if single else audio[:, None]


class AsCoqui(AsHiFiGAN):
    """``.inference(mel)``, (batch, n_mels, frames) -> (batch, 1, samples): Coqui TTS."""

    def inference(self, mel: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, 1, samples)."""
        return self(mel)


class AsSpeechBrain(Adapter):
    """``.decode_batch(mel, mel_lens, hop_len)``: SpeechBrain's ``HIFIGAN``."""

    def decode_batch(
        self, spectrogram: Tensor, mel_lens: Tensor | None = None, hop_len: int | None = None
    ) -> Tensor:
        """(batch, n_mels, frames) -> (batch, 1, samples), silent after ``mel_lens`` frames.

        Raises:
            ValueError: ``hop_len`` is not the vocoder's hop length.
        """
        if hop_len is not None and hop_len != self.hop_length:
            raise ValueError(f"hop_len: expected {self.hop_length}; got {hop_len}")
        return self.speak(spectrogram, mel_lens)[:, None]

    def decode_spectrogram(self, spectrogram: Tensor) -> Tensor:
        """(n_mels, frames) -> (1, samples)."""
        return self.speak(tensor(spectrogram, "mel")[None])


class AsNeMo(Adapter):
    """``.convert_spectrogram_to_audio(spec=mel)``: NeMo's vocoders."""

    def convert_spectrogram_to_audio(self, spec: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, samples)."""
        return self.speak(spec)

    def forward(self, *, spec: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, 1, samples)."""
        return self.speak(spec)[:, None]


class AsVocos(Adapter):
    """``.decode(mel)``, (batch, n_mels, frames) -> (batch, samples): Vocos."""

    def decode(self, features: Tensor) -> Tensor:
        """(batch, n_mels, frames) -> (batch, samples)."""
        return self.speak(features)


class AsWaveGlow(Adapter):
    """``.infer(mel, sigma=1.0)``: NVIDIA's WaveGlow."""

    def infer(self, spect: Tensor, sigma: float = 1.0) -> Tensor:
        """(batch, n_mels, frames) -> (batch, samples); ``sigma`` is the temperature."""
        return self.speak(spect, temperature=sigma)

    @staticmethod
    def remove_weightnorm(model: AsWaveGlow) -> AsWaveGlow:
        """Return ``model`` unchanged; see ``remove_weight_norm``."""
        return model


class AsTransformers(Adapter):
    """``(batch, frames, n_mels) -> (batch, samples)``: the ``vocoder=`` of transformers' SpeechT5.

    It replaces ``SpeechT5HifiGan`` and ``FastSpeech2ConformerHifiGan``.
    """

    def forward(self, spectrogram: Tensor) -> Tensor:
        """(batch, frames, n_mels) or (frames, n_mels) -> (batch, samples) or (samples,)."""
        batched = tensor(spectrogram, "mel").dim() == 3
        audio = self.speak((spectrogram if batched else spectrogram[None]).mT)
        return audio if batched else audio[0]


class AsESPnet(Adapter):
    """``(frames, n_mels) -> (samples,)``: ``Text2Speech.vocoder`` of ESPnet 2."""

    @property
    def fs(self) -> int:
        """Samples per second."""
        return self.sample_rate

    def forward(self, feats: Tensor) -> Tensor:
        """(frames, n_mels) -> (samples,)."""
        return self.speak(tensor(feats, "mel")[None].mT)[0]


class AsTorchaudio(Adapter):
    """``(mel, lengths) -> (audio, lengths)``: torchaudio's ``Tacotron2TTSBundle.Vocoder``."""

    def forward(
        self, mel_spec: Tensor, lengths: Sequence[int] | Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(batch, n_mels, frames), (batch,) frames -> (batch, samples), (batch,) samples."""
        audio = self.speak(mel_spec, lengths)
        if lengths is not None and not isinstance(lengths, Tensor):
            lengths = torch.tensor(whole_numbers(lengths, "lengths"), device=audio.device)
        return audio, None if lengths is None else lengths * self.hop_length

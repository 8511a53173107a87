"""Removal of the sound that a vocoder makes when it should be silent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.checks import floating, real, whole
from waveflow.inference.framing import Framing
from waveflow.precision import Durable, full_precision, uncompiled
from waveflow.streaming.products import padding_rows
from waveflow.streaming.rows import DelayLine, PushFunction, pulled

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder

CHUNK = 1024
"""Number of frames that are processed at a time; it bounds the memory, and does not change the
sound."""


class Denoiser(Durable):
    r"""Removes a steady hum or hiss from audio, by spectral subtraction.

    A vocoder can have a sound of its own, which is audible where it should be silent. Its
    magnitude :math:`b_k` in each bin is subtracted from the magnitudes of every frame
    :math:`X_t = \mathrm{STFT}(x)_t`, down to 0, and the phase is kept:

    .. math:: X_{tk} \leftarrow \frac{X_{tk}}{|X_{tk}|} \max\big(|X_{tk}| - s\, b_k,\ 0\big).

    The removed part is overlap-added and subtracted from the audio, so that strength :math:`s = 0`
    returns the audio, bit for bit. The frames are those of the mel convention.

    Boll, *Suppression of acoustic noise in speech using spectral subtraction*, 1979. WaveGlow's
    public code (Prenger, Valle & Catanzaro, 2018) uses the first frame of one synthesis; here
    :math:`b_k` is a mean over several seconds of several syntheses, which depends little on chance.

    Args:
        bias: The magnitudes :math:`b_k` under the convention's window, (1 + n_fft / 2,). A buffer,
            and the only tensor of the state dict.
        config: The mel convention, which defines the frames.

    Raises:
        ValueError: a bias of another shape, or with values that are negative or not finite.

    >>> import torch
    >>> from waveflow import Vocoder
    >>> vocoder = Vocoder.from_pretrained("ljspeech-nano")
    >>> denoiser = Denoiser.of(vocoder)
    >>> audio = vocoder(vocoder.mel(0.1 * torch.randn(1, 25600)), seed=0)
    >>> denoiser(audio, strength=0.1).shape
    torch.Size([1, 25600])
    """

    bias: Tensor

    @torch.inference_mode(False)
    def __init__(self, bias: Tensor, config: MelConfig):
        super().__init__()
        _check_bias(bias, config)
        self.config = config
        self._log_mel = LogMel(config).to(bias)
        self.register_buffer("bias", bias.detach().clone())

    @classmethod
    def of(
        cls,
        vocoder: Vocoder,
        *,
        temperature: float | None = None,
        consistency: int | None = None,
        seconds: float = 3.0,
        takes: int = 4,
        seed: int = 0,
    ) -> Denoiser:
        """The denoiser of a vocoder, on its device and in its precision.

        Its bias is measured on synthesised silence: the mel is the logarithm of the convention's
        clamp in every band.

        Args:
            vocoder: The vocoder whose sound is removed.
            temperature: Temperature of the syntheses; by default the vocoder's own. Use that of
                the audio to be denoised.
            consistency: Iterations of mel consistency of the syntheses; by default the vocoder's
                own. Use those of the audio to be denoised.
            seconds: Length of each synthesis.
            takes: Number of syntheses, each with its own noise.
            seed: Seed of the noise.

        Raises:
            ValueError: less than a frame in a synthesis, or a value that the vocoder refuses.
        """
        config = vocoder.config.mel
        takes, seconds = whole(takes, "takes"), real(seconds, "seconds")
        if not math.isfinite(seconds):
            raise ValueError(f"expected a finite number of seconds; got {seconds}")
        frames = math.ceil(seconds * config.sample_rate / config.hop_length)
        if takes < 1 or frames * config.hop_length < config.n_fft:
            raise ValueError(
                f"expected 1 take or more of {config.n_fft / config.sample_rate:.3f} s or more; "
                f"got {takes} of {seconds} s"
            )
        like = next(vocoder.parameters()).detach()
        silence = like.new_full((takes, config.n_mels, frames), math.log(config.clamp))
        how = {"temperature": temperature, "consistency": consistency}
        audio = vocoder(silence, **how, seed=seed, mel_config=config)
        return cls.from_noise(audio, config)

    @classmethod
    def from_noise(cls, audio: Tensor, config: MelConfig) -> Denoiser:
        """The denoiser of a steady noise, given a recording of it.

        Args:
            audio: The noise, (batch, time); all frames have equal weight.
            config: The mel convention, which defines the frames.

        Raises:
            ValueError: audio of another shape, shorter than a frame, or not finite.
        """
        audio = floating(audio, "audio", "(batch, time)")
        if not len(audio) or audio.shape[-1] < config.n_fft:
            raise ValueError(
                f"audio: expected {config.n_fft} samples of noise or more; got {tuple(audio.shape)}"
            )
        audio = audio.to(torch.promote_types(audio.dtype, torch.float32))
        window = LogMel(config).to(audio).window
        frames = audio.detach().unfold(1, config.n_fft, config.hop_length)
        means = [torch.fft.rfft(example * window).abs().mean(0) for example in frames]
        return cls(torch.stack(means).mean(0), config)

    def forward(self, audio: Tensor, *, strength: float = 0.1) -> Tensor:
        """Audio without the noise. Each example is independent of the others in its batch. Not
        recorded by autograd.

        Args:
            audio: Audio of any length, (batch, time).
            strength: Factor of the bias that is subtracted, 0 or more. 1 silences steady tones and
                most of a hiss, and removes some of any speech that is as quiet.

        Returns:
            Audio, (batch, time), of the same type and on the same device.

        Raises:
            ValueError: another shape, integers, samples that are not finite, or a strength below 0.
        """
        audio = floating(audio, "audio", "(batch, time)")
        quieter = torch.empty_like(audio, requires_grad=False)
        for example, result in zip(audio, quieter, strict=True):
            push = self.begin(strength=strength)
            parts = example.split(CHUNK * self.config.hop_length)
            torch.cat([push(part, part is parts[-1]) for part in parts], out=result)
        return quieter

    def stream(self, pieces: Iterable[Tensor], *, strength: float = 0.1) -> Iterator[Tensor]:
        """Denoise a stream of audio, such as that of ``vocoder.stream``.

        The samples are those of the whole audio for every way to cut it into pieces. Memory does
        not grow with its length.

        Args:
            pieces: Pieces of audio in order, (samples,) each, of any lengths.
            strength: Factor of the bias that is subtracted, 0 or more.

        Yields:
            audio, (samples,), never empty; it lags the input by ``look_ahead`` samples at most.

        Raises:
            ValueError: as ``forward``.
        """
        return pulled(self.begin(strength=strength), pieces)

    def begin(self, *, strength: float = 0.1) -> PushFunction:
        """Start a signal: the result is a function ``push(audio, last)``, which takes the next
        audio (samples,), and returns the denoised audio (samples,) that it determines; with
        ``last``, all that remains.

        Args:
            strength: Factor of the bias that is subtracted, 0 or more.

        Raises:
            ValueError: as ``forward``.
        """
        strength = real(strength, "strength")
        if not (math.isfinite(strength) and strength >= 0):
            raise ValueError(f"expected a strength of 0 or more; got {strength}")
        window, framing = self._log_mel.window, Framing(self._log_mel.cutting, folds=False)
        cut, overlap = framing.begin_cutting(), framing.begin_overlap()
        bias, hop_length = strength * self.bias.to(window), self.config.hop_length
        waiting = DelayLine()
        received = 0

        @uncompiled
        def push(audio: Tensor, last: bool) -> Tensor:
            nonlocal received
            audio = floating(audio, "audio", "(samples,)").detach().clone()
            received += len(audio)
            waiting.push(audio)
            padded = audio.to(bias)
            if last:  # zeros up to a whole number of hops, which are not part of the output
                padded = torch.cat([padded, padded.new_zeros(-received % hop_length)])
            with torch.no_grad(), full_precision(audio):
                frames = cut(padded, last) * window
                noise = overlap(_noise_component(frames, bias), last)[0].to(audio)
                ready = waiting.take(received if last else len(noise))
                # if hops do not overlap, the last half of a hop may be in no frame
                missing = len(ready) - len(noise)
                return ready - functional.pad(noise, (0, missing))

        return push

    @property
    def look_ahead(self) -> int:
        """Samples by which streamed audio lags its input, at most."""
        config = self.config
        return max(config.n_fft, config.hop_length + self._log_mel.padding) - 1


def _noise_component(frames: Tensor, bias: Tensor) -> Tensor:
    """The noise component of windowed frames, (frames, n_fft) -> same shape: the part that
    spectral subtraction removes.

    A frame has the same bits for any number of frames. A library of transforms may use another
    algorithm for few frames than for many, so few are padded.
    """
    count = len(frames)
    if not count:
        return frames
    spectrum = torch.fft.rfft(functional.pad(frames, (0, 0, 0, padding_rows(frames))))
    magnitude = (spectrum.real.square() + spectrum.imag.square()).sqrt()
    share = (bias / magnitude.clamp_min(torch.finfo(bias.dtype).tiny)).clamp_max(1)
    torch.view_as_real(spectrum).mul_(share[..., None])
    return torch.fft.irfft(spectrum, frames.shape[-1])[:count]


def _check_bias(bias: Tensor, config: MelConfig) -> None:
    expected = (1 + config.n_fft // 2,)
    if not isinstance(bias, Tensor) or not bias.is_floating_point() or bias.shape != expected:
        got = f"{bias.dtype} {tuple(bias.shape)}" if isinstance(bias, Tensor) else type(bias)
        raise ValueError(f"bias: expected a floating-point tensor of shape {expected}; got {got}")
    if not (bias.isfinite() & (bias >= 0)).all():
        raise ValueError("bias: expected magnitudes, finite and 0 or more; got others")

"""Removal of what a vocoder sounds like when it should be silent."""

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
from waveflow.streaming.rows import DelayLine, PushFunction

if TYPE_CHECKING:
    from waveflow.vocoder import Vocoder

CHUNK = 1024
"""Frames that are worked on at a time; they bound the memory, and do not change the sound."""


class Denoiser(Durable):
    r"""Takes a steady hum or hiss out of audio, by what is known of its spectrum.

    A vocoder can have a sound of its own, which is heard where it should be silent. Its magnitude
    :math:`b_k` in each bin is subtracted from every frame :math:`X_t = \mathrm{STFT}(x)_t`, as far
    as there is any, and the phase kept:

    .. math:: X_{tk} \leftarrow \frac{X_{tk}}{|X_{tk}|} \max\big(|X_{tk}| - s\, b_k,\ 0\big).

    What is taken away is overlapped and subtracted from the audio, so strength :math:`s = 0` takes
    nothing, bit for bit. The frames are those of the mel convention.

    Boll, *Suppression of acoustic noise in speech using spectral subtraction*, 1979. WaveGlow's
    public code (Prenger, Valle & Catanzaro, 2018) listens to the first frame of one synthesis; here
    :math:`b_k` is a mean over seconds of several, in which chance has little part.

    Args:
        bias: :math:`b_k`, (1 + n_fft / 2,), magnitudes under the convention's window; moves and
            changes its type with ``.to()``, and is all there is in the state dict.
        config: how frames are cut.

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

        Listens to what the vocoder makes of silence: of a mel that is the logarithm of its
        convention's clamp in every band.

        Args:
            vocoder: whose sound is to be removed.
            temperature: of the synthesis that will be denoised; by default the vocoder's own.
            consistency: likewise.
            seconds: to listen for.
            takes: how often, each with its own noise.
            seed: of the noise.

        Raises:
            ValueError: less than a frame to listen to, or what the vocoder refuses.
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
        """The denoiser of a steady noise, given some of it alone.

        Args:
            audio: (batch, time), the noise; all of it counts alike.
            config: how frames are cut.

        Raises:
            ValueError: no audio of that shape, shorter than a frame, or not finite.
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
        """Audio without the noise; each example as if it came alone. Not recorded by autograd.

        Args:
            audio: (batch, time), of any length.
            strength: how many times the bias is subtracted, 0 or more. 1 silences steady tones and
                most of a hiss; some of any speech as quiet as they goes with them.

        Returns:
            (batch, time), of the same type, on the same device.

        Raises:
            ValueError: another shape, integers, samples that are not finite, or a strength below 0.
        """
        audio = floating(audio, "audio", "(batch, time)")
        quieter = torch.empty_like(audio, requires_grad=False)
        for example, result in zip(audio, quieter, strict=True):
            torch.cat(list(self._pushed(example, strength)), out=result)
        return quieter

    def stream(self, pieces: Iterable[Tensor], *, strength: float = 0.1) -> Iterator[Tensor]:
        """Denoise audio while it is still coming, such as that of ``vocoder.stream``.

        The samples are those of the whole, however it is cut into pieces; memory does not grow with
        its length.

        Args:
            pieces: (samples,) each, any number of them, in order.
            strength: as for the whole.

        Yields:
            audio, (samples,), never empty; it ends behind what has come by ``look_ahead`` samples
            at most.

        Raises:
            ValueError: as for the whole.
        """
        push = self.begin(strength=strength)
        return _pulled(push, pieces)

    def begin(self, *, strength: float = 0.1) -> PushFunction:
        """A fresh start: the result pushes audio (samples,), and returns the denoised audio
        (samples,) that it decides; with ``last``, all that is left.

        Args:
            strength: as for the whole.

        Raises:
            ValueError: as for the whole.
        """
        strength = real(strength, "strength")
        if not (math.isfinite(strength) and strength >= 0):
            raise ValueError(f"expected a strength of 0 or more; got {strength}")
        window, framing = self._log_mel.window, Framing(self._log_mel.cutting, folds=False)
        cut, overlap = framing.begin_cutting(), framing.begin_overlap()
        bias, hop_length = strength * self.bias.to(window), self.config.hop_length
        waiting = DelayLine()
        come = 0

        @uncompiled
        def push(audio: Tensor, last: bool) -> Tensor:
            nonlocal come
            audio = floating(audio, "audio", "(samples,)").detach().clone()
            come += len(audio)
            waiting.push(audio)
            heard = audio.to(bias)
            if last:  # silence up to a whole number of hops, of which nothing comes out
                heard = torch.cat([heard, heard.new_zeros(-come % hop_length)])
            with torch.no_grad(), full_precision(audio):
                noise = overlap(_share(cut(heard, last) * window, bias), last)[0].to(audio)
                decided = waiting.take(come if last else len(noise))
                # where hops do not overlap, no frame may see the last half of one
                missing = len(decided) - len(noise)
                return decided - functional.pad(noise, (0, missing))

        return push

    @property
    def look_ahead(self) -> int:
        """Samples by which streamed audio ends behind what has come, at most."""
        config = self.config
        return max(config.n_fft, config.hop_length + self._log_mel.padding) - 1

    def _pushed(self, audio: Tensor, strength: float) -> Iterator[Tensor]:
        """The denoised audio of (time,), in pieces."""
        push = self.begin(strength=strength)
        parts = audio.split(CHUNK * self.config.hop_length)
        for number, part in enumerate(parts, start=1):
            yield push(part, number == len(parts))


def _pulled(push: PushFunction, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
    """What comes out when pieces are pushed, but for empty pieces."""
    piece = None
    for piece in pieces:
        audio = push(piece, False)
        if len(audio):
            yield audio
    if piece is not None:
        audio = push(piece[:0], True)
        if len(audio):
            yield audio


def _share(frames: Tensor, bias: Tensor) -> Tensor:
    """What noise of magnitude ``bias`` has of windowed frames, (frames, n_fft) -> likewise.

    Each frame is the same bits however many there are: a library of transforms, too, may take
    another way for a few than for many, and all else rounds every number on its own.
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

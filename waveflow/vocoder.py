"""The public object: mel to sound, sound to latent, and the exact likelihood of sound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from waveflow.audio.check import check_mel, warn_if_implausible
from waveflow.audio.consistency import MelConsistency
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.checks import floating, tensor, whole, whole_numbers
from waveflow.config import VocoderConfig
from waveflow.flow import Flow, Gaussian
from waveflow.inference.engine import Engine
from waveflow.inference.staleness import StalenessCheck
from waveflow.noise import checked_seed
from waveflow.precision import full_precision, in_single, single_or_better, uncompiled
from waveflow.pretrained.limits import require_affordable
from waveflow.pretrained.mixin import PretrainedMixin


class Vocoder(PretrainedMixin):
    """A mel front end, a context network and a flow, used in both directions.

    ``vocoder(mel)`` is sound, ``vocoder.log_prob(audio)`` its exact log-likelihood. Audio is
    (batch, time) in [-1, 1], mel (batch, n_mels, frames) in the convention ``vocoder.config.mel``,
    and ``time == frames * hop_length`` for every pair. Likelihood, latent and mel are
    differentiable; synthesis is not recorded by autograd, ``decode`` is. On CUDA these compute
    convolutions in float32, not in TF32; backward passes and training follow torch's settings.

    Weights may have any precision, and the vocoder may be compiled, or used in inference mode or
    under autocast. Synthesis, likelihood and latents are computed in the weights' precision, or in
    float32 if that is lower (after ``half()`` or ``bfloat16()``). A new vocoder has torch's default
    type and device.

    Args:
        config: The model and its sizes, the mel convention, and the defaults of synthesis. The
            weights start random, with the flow near the identity.

    >>> import torch
    >>> from waveflow import Vocoder
    >>> vocoder = Vocoder.from_pretrained("ljspeech")
    >>> audio = 0.1 * torch.randn(1, 5120)
    >>> vocoder(vocoder.mel(audio), seed=0).shape
    torch.Size([1, 5120])
    """

    @torch.inference_mode(False)
    def __init__(self, config: VocoderConfig):
        if not isinstance(config, VocoderConfig):
            raise ValueError(f"expected a VocoderConfig; got {type(config)}")
        require_affordable(config)
        super().__init__(config)
        like = torch.empty(0)
        with torch.device("cpu"):
            context_net, bijection = config.model.build(config.mel)
            self._log_mel = LogMel(config.mel).float()
            self._consistency = MelConsistency(self._log_mel, cutoff=config.synthesis.cutoff)
        self._frozen: tuple[StalenessCheck, Engine] | None = None
        self.context_net = context_net
        self.flow = Flow(bijection, Gaussian())
        self.to(like)  # torch's default type and device

    @uncompiled
    def forward(
        self,
        mel: Tensor,
        *,
        temperature: float | None = None,
        consistency: int | None = None,
        seed: int | None = None,
        lengths: Sequence[int] | Tensor | None = None,
        chunk: int | None = None,
        mel_config: MelConfig | None = None,
    ) -> Tensor:
        """Synthesise: the flow's sample, brought nearer to the mel.

        The sound of an example does not depend on the others in its batch.

        Args:
            mel: The mel, (batch, n_mels, frames).
            temperature: Standard deviation of the latent noise, 0 or more; by default
                ``config.synthesis.temperature``.
            consistency: Iterations of :class:`waveflow.audio.MelConsistency`, 0 for the flow's
                sample itself; by default ``config.synthesis.consistency``. The first
                ``config.synthesis.full_band`` of them change all bins.
            seed: Seed of the noise, which depends on (seed, example, position) alone, on every
                device; by default it is drawn from torch's global generator.
            lengths: Number of frames of each example, (batch,), if they differ. The frames after
                them are padding: their values do not matter, and the audio is 0 there.
            chunk: Number of frames that are processed at a time, by default 2048 steps of the
                flow. It bounds the memory, and does not change the sound.
            mel_config: The convention of the mel, if the caller knows it. Another convention than
                the vocoder's is an error; with the same one there is no ``MelWarning``.

        Returns:
            audio, (batch, frames * hop_length).

        Raises:
            ValueError: the mel does not fit this vocoder, or a negative temperature or number of
                iterations, lengths that do not fit the mel, or a chunk of no frames.
            MelWarning: (a warning) a mel with valid values that are implausible for speech.
        """
        synthesis = self.config.synthesis.override(temperature=temperature, consistency=consistency)
        if mel_config is not None:
            self.config.mel.require_same(mel_config)
        chunk = None if chunk is None else whole(chunk, "chunk")
        if chunk is not None and chunk < 1:
            raise ValueError(f"expected a chunk of 1 frame or more; got {chunk}")
        seed, parts = _seed(seed), list(self._examples(mel, lengths))
        engine = self.engine()
        audio = engine.like.new_zeros(len(parts), mel.shape[-1] * self.config.mel.hop_length)
        for part in parts if mel_config is None else []:
            warn_if_implausible(part, self._log_mel)
        for example, sound in engine.each(parts, synthesis, seed=seed, chunk=chunk):
            audio[example, : len(sound)] = sound
        return audio

    @uncompiled
    def stream(
        self,
        mel_chunks: Iterable[Tensor],
        *,
        temperature: float | None = None,
        consistency: int | None = None,
        seed: int | None = None,
    ) -> Iterator[Tensor]:
        """Synthesise a stream of mel chunks.

        The audio is that of the whole mel for every way to cut it into chunks; memory does not grow
        with its length. Each chunk yields the audio that is determined so far, which lags the mel
        by ``look_ahead`` samples at most; the end of the chunks yields the rest.

        Args:
            mel_chunks: Chunks of the mel in order, (n_mels, any number of frames) each.
            temperature: Standard deviation of the latent noise, 0 or more; by default
                ``config.synthesis.temperature``.
            consistency: Iterations of :class:`waveflow.audio.MelConsistency`; by default
                ``config.synthesis.consistency``.
            seed: Seed of the noise; by default it is drawn from torch's global generator.

        Yields:
            audio, (samples,), never empty.

        Raises:
            ValueError: a chunk does not fit this vocoder, or a negative temperature or number of
                iterations.

        >>> import torch
        >>> from waveflow import Vocoder
        >>> vocoder = Vocoder.from_pretrained("ljspeech-nano")
        >>> mel = vocoder.mel(0.1 * torch.randn(1, 25600))
        >>> pieces = vocoder.stream(mel[0].split(30, dim=1), seed=0)
        >>> torch.allclose(torch.cat(list(pieces)), vocoder(mel, seed=0)[0], atol=1e-5)
        True
        """
        synthesis = self.config.synthesis.override(temperature=temperature, consistency=consistency)
        checked = (self._checked(chunk) for chunk in mel_chunks)
        chunks = (chunk for chunk in checked if chunk.shape[1])
        return self.engine().stream(chunks, synthesis, seed=_seed(seed))

    def look_ahead(self, *, consistency: int | None = None) -> int:
        """Samples by which streamed audio lags the mel, at most.

        Args:
            consistency: Iterations of mel consistency; by default
                ``config.synthesis.consistency``.
        """
        return self.engine().look_ahead(self.config.synthesis.override(consistency=consistency))

    @uncompiled
    def engine(self) -> Engine:
        """This vocoder frozen for synthesis; rebuilt after its weights have changed.

        Values written to weights past autograd (``weight.data.copy_(...)``) in evaluation mode are
        not detected until ``eval`` is called again.
        """
        frozen = self._frozen
        if frozen is None or frozen[0].is_stale():
            parts = self.context_net, self.flow.bijection, self._consistency, self.config
            with full_precision(self._like):
                self._frozen = frozen = StalenessCheck(self), Engine(*parts)
        return frozen[1]

    def train(self, mode: bool = True) -> Vocoder:
        self._frozen = None
        return super().train(mode)

    def __getstate__(self) -> dict[str, Any]:
        """Copies build their own engine."""
        return {**self.__dict__, "_frozen": None}

    @property
    def mel_consistency(self) -> MelConsistency:
        """The iterations that end synthesis."""
        return self._consistency

    def mel(self, audio: Tensor, *, sample_rate: int | None = None) -> Tensor:
        """The log-mel of audio, (batch, time) -> (batch, n_mels, frames).

        Args:
            audio: Audio in [-1, 1], (batch, time).
            sample_rate: Sample rate of the audio, if the caller knows it; another rate than the
                vocoder's is an error.
        """
        expected = self.config.mel.sample_rate
        if sample_rate is not None and sample_rate != expected:
            raise ValueError(f"audio: expected a sample rate of {expected} Hz; got {sample_rate!r}")
        return self._log_mel(self._check_audio(audio))

    def encode(self, audio: Tensor, mel: Tensor | None = None) -> Tensor:
        """The latent of audio, (batch, time) -> (batch, groups, time / groups).

        Args:
            audio: Audio, (batch, time), with ``time`` a multiple of ``hop_length``.
            mel: The mel to condition on; by default that of the audio.
        """
        return in_single(_encode, self, audio, mel)

    def decode(self, z: Tensor, mel: Tensor) -> Tensor:
        """The audio of a latent: ``decode(encode(audio, mel), mel)`` is ``audio``.

        Args:
            z: The latent, (batch, groups, steps), as ``encode`` returns it.
            mel: The mel to condition on, (batch, n_mels, frames).

        Returns:
            audio, (batch, frames * hop_length).
        """
        check_mel(mel, self._log_mel)
        z = floating(z, "latent", "(batch, groups, steps)", unit="values")
        groups, time = self.config.model.groups, mel.shape[-1] * self.config.mel.hop_length
        expected = mel.shape[0], groups, time // groups
        if z.shape != expected:
            raise ValueError(
                f"latent: expected shape {expected} for {mel.shape[-1]} mel frames; "
                f"got {tuple(z.shape)}"
            )
        return in_single(_decode, self, z, mel)

    def log_prob(self, audio: Tensor, mel: Tensor | None = None) -> Tensor:
        r"""Exact log-likelihood of audio given its mel, in nats, constant included: (batch,).

        Divide by ``time`` for nats per sample. With :math:`\ell` nats per sample,

        - 16-bit recordings, uniformly dequantised, cost at most :math:`15 - \ell / \ln 2` bits a
          sample, because a quantum is :math:`2^{-15}` wide;
        - WaveGlow prints :math:`-\ell - \tfrac12\log 2\pi` as its loss (:math:`\sigma = 1`),
          without the constant.

        Args:
            audio: Audio, (batch, time), with ``time`` a multiple of ``hop_length``.
            mel: The mel to condition on; by default that of the audio.
        """
        return in_single(_log_prob, self, audio, mel)

    @property
    def _like(self) -> Tensor:
        """A weight, for its dtype and device."""
        return next(self.parameters())

    def _examples(
        self, mel: Tensor, lengths: Sequence[int] | Tensor | None
    ) -> Sequence[Tensor] | Tensor:
        """The mel of each example, (n_mels, its frames), checked."""
        if lengths is None:
            check_mel(mel, self._log_mel)
            return mel
        counts = whole_numbers(lengths, "lengths, in frames")
        if tensor(mel, "mel").dim() != 3 or len(counts) != len(mel):
            raise ValueError(
                f"lengths: expected one for each mel; got {len(counts)} for a mel of "
                f"shape {tuple(mel.shape)}"
            )
        if not all(0 < count <= mel.shape[-1] for count in counts):
            raise ValueError(
                f"lengths: expected frames from 1 to the mel's {mel.shape[-1]}; got {counts}"
            )
        return [self._checked(part[:, :count]) for part, count in zip(mel, counts, strict=True)]

    def _checked(self, mel: Tensor) -> Tensor:
        """A mel (n_mels, frames), checked."""
        if not isinstance(mel, Tensor) or mel.dim() != 2:
            got = tuple(mel.shape) if isinstance(mel, Tensor) else type(mel).__name__
            raise ValueError(
                f"mel: expected a tensor of shape ({self.config.mel.n_mels}, frames); got {got}"
            )
        if mel.shape[1]:
            check_mel(mel[None], self._log_mel)
        return mel

    def _with_context(self, audio: Tensor, mel: Tensor | None) -> tuple[Tensor, Tensor]:
        hop_length = self.config.mel.hop_length
        audio = self._check_audio(audio)
        frames, rest = divmod(audio.shape[-1], hop_length)
        if rest:
            enough = frames * hop_length >= (self._log_mel.shortest if mel is None else 1)
            hint = f"cut it to audio[..., :{frames * hop_length}]" if enough else "it is too short"
            raise ValueError(
                f"audio: expected a multiple of {hop_length} samples; got {audio.shape[-1]}: {hint}"
            )
        own = mel is None
        if mel is None:
            mel = self._log_mel(audio)[..., :frames]  # a centred mel has one frame more
        try:
            check_mel(mel, self._log_mel)
        except ValueError:
            peak = audio.abs().max().item()
            if not own or peak <= 1:
                raise
            raise ValueError(
                f"audio: expected samples in [-1, 1]; got a peak of {peak:.6g}"
            ) from None
        if (mel.shape[0], mel.shape[-1]) != (audio.shape[0], frames):
            raise ValueError(
                f"mel: expected {audio.shape[0]} x {frames} frames for audio of shape "
                f"{tuple(audio.shape)}; got {mel.shape[0]} x {mel.shape[-1]}"
            )
        return audio, self.context_net(mel.to(self._like))

    def _check_audio(self, audio: Tensor) -> Tensor:
        """Audio, checked, in the precision of the model."""
        audio = floating(audio, "audio", "(batch, time)")
        return audio.to(self._like.device, single_or_better(self._like.dtype))


def _encode(vocoder: Vocoder, audio: Tensor, mel: Tensor | None) -> Tensor:
    audio, context = vocoder._with_context(audio, mel)
    return vocoder.flow.bijection(audio, context)[0]


def _decode(vocoder: Vocoder, z: Tensor, mel: Tensor) -> Tensor:
    like = vocoder._like
    return vocoder.flow.bijection.inverse(z.to(like), vocoder.context_net(mel.to(like)))


def _log_prob(vocoder: Vocoder, audio: Tensor, mel: Tensor | None) -> Tensor:
    audio, context = vocoder._with_context(audio, mel)
    return vocoder.flow.log_prob(audio, context)


def _seed(seed: int | None) -> int:
    """The seed, or one from torch's global generator."""
    if seed is None:
        return int(torch.randint(2**63 - 1, (), device="cpu"))
    return checked_seed(seed)

"""The engine: a frozen form of a vocoder for synthesis, of whole mels or of streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from waveflow.audio.consistency import MelConsistency
from waveflow.bijections import Bijection
from waveflow.bijections.long_term import sharpened
from waveflow.config import SynthesisConfig, VocoderConfig
from waveflow.inference.consistency import StreamedConsistency
from waveflow.moved import warn_of
from waveflow.noise import noise_of
from waveflow.precision import full_precision, single_copy, uncompiled
from waveflow.streaming.place import Place
from waveflow.streaming.rows import (
    ContextStage,
    PushFunction,
    SequentialStage,
    SharedBuffer,
    form_of,
    pulled,
)

if TYPE_CHECKING:
    from waveflow.inference.whole import Whole

FRAMES = 2**14
"""Number of mel frames that a GPU processes at a time, which bounds the memory."""

ROWS = 2048
"""Number of steps of the flow that a CPU processes at a time, by default; enough for fast products,
and few enough for the rows of a layer of a large network to stay in the caches."""


class Engine:
    """Mel to sound, with all constants computed once.

    Weight norm is folded. Inverse matrices are computed and multiplied with neighbouring linear
    maps, skips are multiplied with the layer after them, and biases are folded (see
    ``waveflow.streaming.gated``). The channels of a step are contiguous, so every convolution is a
    few large matrix products. The sound is that of the vocoder's modules up to rounding. Later
    changes of the weights do not change the engine.

    Args:
        context_net: The network mel -> context.
        bijection: The bijection audio <-> latent.
        consistency: The module that brings the flow's sample nearer to the mel.
        config: The config of the vocoder; its sharpness applies to the predictors.

    Attributes:
        like: A tensor with the precision and device of the computation and of the sound: those of
            the weights, but float32 instead of half precision.
    """

    def __init__(
        self,
        context_net: nn.Module,
        bijection: Bijection,
        consistency: MelConsistency,
        config: VocoderConfig,
    ):
        mel = config.mel
        context_net, bijection = single_copy(context_net), single_copy(bijection)
        self._hop, self._groups = mel.hop_length, config.model.groups
        self._encoder: ContextStage = form_of(context_net, "stage")
        self.like = next(context_net.parameters()).detach()
        self._on_cpu = self.like.device.type == "cpu"
        latent = Place(self._groups, mel.hop_length // self._encoder.rate, self.like)
        sharp = sharpened(bijection, config.synthesis.sharpness)
        stages, _ = sharp.stages(latent)
        self._flow = SequentialStage(stages)
        self._plain = context_net, sharp, consistency
        self._consistency = StreamedConsistency(consistency)
        keep_freed_memory()

    def begin(self, synthesis: SynthesisConfig, *, seed: int, example: int = 0) -> PushFunction:
        """Start a signal: the result is a function ``push(mel, last)``, which takes the next mel
        rows (frames, n_mels), and returns the audio (samples,) that they determine; with ``last``,
        all that remains.

        Args:
            synthesis: The temperature and the schedule of iterations.
            seed: Seed of the noise.
            example: Number of the utterance in its batch, which has its own noise.
        """
        mels, contexts = SharedBuffer(), SharedBuffer()
        encode = self._encoder.begin(contexts)
        flow = self._flow.begin(contexts)
        improve = self._consistency.begin(mels, synthesis.schedule)
        position = 0

        @uncompiled
        def push(mel: Tensor, last: bool) -> Tensor:
            nonlocal position
            with torch.inference_mode(), full_precision(self.like):
                mel = mel.to(self.like, copy=True)  # the caller may use its memory again
                mels.push(mel)
                context = encode(mel, last)
                contexts.push(context)
                samples = len(context) // self._encoder.rate * self._hop
                (noise,) = noise_of(
                    seed, [example], samples, start=position, device=self.like.device
                )
                position += samples
                latent = (synthesis.temperature * noise).to(self.like).view(-1, self._groups)
                return improve(flow(latent, last), last)

        return push

    def __call__(
        self,
        mel: Tensor,
        synthesis: SynthesisConfig,
        *,
        seed: int,
        example: int = 0,
        chunk: int | None = None,
    ) -> Tensor:
        """The sound of a whole mel, (n_mels, frames) -> (frames * hop_length,).

        Args:
            mel: The mel, checked.
            synthesis: The temperature and the schedule of iterations.
            seed: Seed of the noise.
            example: Number of the utterance in its batch, which has its own noise.
            chunk: Number of frames that are processed at a time, by default :data:`ROWS` steps, on
                a GPU :data:`FRAMES` frames. It affects memory, not the sound.
        """
        push = self.begin(synthesis, seed=seed, example=example)
        usual = max(ROWS * self._groups // self._hop, 1) if self._on_cpu else FRAMES
        chunks = mel.T.split(chunk or usual)
        return torch.cat([push(rows, rows is chunks[-1]) for rows in chunks])

    def each(
        self,
        mels: Sequence[Tensor],
        synthesis: SynthesisConfig,
        *,
        seed: int,
        chunk: int | None = None,
    ) -> Iterator[tuple[int, Tensor]]:
        """The numbers and sounds of whole mels; a GPU processes many at once, in any order.

        Args:
            mels: Mels (n_mels, frames) each, checked; the number of a mel is that of its noise.
            synthesis: The temperature and the schedule of iterations.
            seed: Seed of the noise.
            chunk: Number of frames that are processed at a time; see ``__call__``.
        """
        by_length: dict[int, list[int]] = {}
        for example, mel in enumerate(mels):
            if self._on_cpu or chunk is not None or mel.shape[1] > FRAMES:
                yield example, self(mel, synthesis, seed=seed, example=example, chunk=chunk)
            else:
                by_length.setdefault(mel.shape[1], []).append(example)
        for frames, examples in by_length.items():
            size = max(FRAMES // frames, 1)
            for first in range(0, len(examples), size):
                some = examples[first : first + size]
                with torch.inference_mode():
                    mel = torch.stack([mels[example] for example in some]).to(self.like)
                    noise = noise_of(seed, some, frames * self._hop, device=mel.device)
                    sounds = self._whole(mel, noise, synthesis)
                yield from zip(some, sounds, strict=True)

    @cached_property
    def _whole(self) -> Whole:
        """The form for a GPU, built at its first use: it holds a copy of the weights."""
        from waveflow.inference.whole import Whole  # slow to import

        with torch.inference_mode(False):
            return Whole(*self._plain, groups=self._groups)

    def stream(
        self, mel_chunks: Iterable[Tensor], synthesis: SynthesisConfig, *, seed: int
    ) -> Iterator[Tensor]:
        """Mel chunks (n_mels, frames) -> pieces of audio (samples,), each as early as possible.

        Args:
            mel_chunks: Chunks of the mel in order, (n_mels, frames) each, checked, none empty.
            synthesis: The temperature and the schedule of iterations.
            seed: Seed of the noise.
        """
        push = self.begin(synthesis, seed=seed)
        for audio in pulled(push, (chunk.T for chunk in mel_chunks)):
            yield audio.clone()

    def outputs_after(self, frames: int, synthesis: SynthesisConfig) -> int:
        """Number of samples of audio after ``frames`` of mel, if more will follow."""
        frames = self._encoder.outputs_after(frames) // self._encoder.rate
        samples = self._flow.outputs_after(frames * self._hop // self._groups)
        return self._consistency.reach(synthesis.schedule).outputs_after(samples)

    def ready(self, frames: int, synthesis: SynthesisConfig) -> int:
        """Former name of :meth:`outputs_after`."""
        warn_of("Engine.ready", "Engine.outputs_after")
        return self.outputs_after(frames, synthesis)

    def look_ahead(self, synthesis: SynthesisConfig) -> int:
        """The algorithmic latency: samples by which the audio lags the mel, at most. The window of
        the mel itself reaches further ahead, by its padding.
        """
        # latency is periodic in whole transform blocks, and a frame is a whole number of them
        settled = 2 * self.first_frames(synthesis) + 8  # from then on each frame gives a hop
        frames = range(1, 2 + settled)
        return max(number * self._hop - self.outputs_after(number, synthesis) for number in frames)

    def look_back(self, synthesis: SynthesisConfig) -> int | None:
        """Number of samples before a sample of the sound on whose mel and noise it depends, at
        most; None if it depends on all of them, as a recursion does.
        """
        far = 10**5 * self._hop
        samples = range(far, far + self._hop)
        first = [self._first_input_of(sample, synthesis) for sample in samples]
        if min(first) <= 0:
            return None
        return max(sample - start for sample, start in zip(samples, first, strict=True))

    def _first_input_of(self, sample: int, synthesis: SynthesisConfig) -> int:
        """The first sample whose noise, or whose frame of the mel, a sample depends on."""
        sample = self._consistency.reach(synthesis.schedule).first_input_of(sample)
        step = self._flow.first_input_of(sample)
        row = step * self._groups * self._encoder.rate // self._hop
        return min(step * self._groups, self._encoder.first_input_of(row) * self._hop)

    def first_frames(self, synthesis: SynthesisConfig) -> int:
        """Number of mel frames that the first audio needs."""
        return next(frames for frames in count(1) if self.outputs_after(frames, synthesis))


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next call.

    Glibc returns the end of its heap to the system when more of it is free than twice the largest
    block freed so far, and requests it again, page by page, when it is needed: here at every
    iteration. Freeing one block of 32 MB, which is never touched, sets that limit to 64 MB.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8, device="cpu")

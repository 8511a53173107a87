"""The engine: a frozen form of a vocoder, for synthesis alone, whole or in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from waveflow.audio.consistency import MelConsistency
from waveflow.bijections import Bijection
from waveflow.bijections.long_term import sharpened
from waveflow.config import SynthesisConfig, VocoderConfig
from waveflow.inference.consistency import StreamedConsistency
from waveflow.noise import noise_of
from waveflow.precision import full_precision, single_copy, uncompiled
from waveflow.streaming.place import Place
from waveflow.streaming.rows import (
    ContextStage,
    PushFunction,
    SequentialStage,
    SharedBuffer,
    form_of,
)

if TYPE_CHECKING:
    from waveflow.inference.whole import Whole

FRAMES = 2**14
"""How many mel frames a GPU makes at a time, which bounds the memory."""

ROWS = 2048
"""Steps of the flow that are worked on at a time, unless the caller says otherwise; enough for fast
products, and few enough for a layer of a large network to stay in the caches."""


class Engine:
    """Mel to sound by weights that are made ready once.

    Weight norms are folded, inverse matrices computed and multiplied with their linear neighbours,
    skips with what follows them, and biases moved out of the way of products (see
    ``waveflow.streaming.gated``); rows of steps lie contiguous, so that every convolution
    is a few large matrix products. The sound is that of the vocoder up to rounding. Weights that
    change later do not change the engine.

    Args:
        context_net: mel -> context.
        bijection: audio <-> latent.
        consistency: brings the flow's sample nearer to the mel.
        config: the vocoder's; the sharpness of its predictors is taken from here.

    Attributes:
        like: a tensor with the precision and device of what is computed and of the sound: those of
            the weights, but float32 where these are of half precision.
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
        self._batches: Whole | None = None
        self._consistency = StreamedConsistency(consistency)
        keep_freed_memory()

    def begin(self, synthesis: SynthesisConfig, *, seed: int, example: int = 0) -> PushFunction:
        """A fresh start: the result pushes mel rows (frames, n_mels), and returns what audio
        (samples,) they decide; with ``last``, all that is left.

        Args:
            synthesis: temperature and the schedule of iterations.
            seed: of the noise.
            example: number of the utterance in its batch, which has its own noise.
        """
        mel_line, context_line = SharedBuffer(), SharedBuffer()
        encode = self._encoder.begin(context_line)
        flow = self._flow.begin(context_line)
        improve = self._consistency.begin(mel_line, synthesis.schedule)
        position = 0

        @uncompiled
        def push(mel: Tensor, last: bool) -> Tensor:
            nonlocal position
            with torch.inference_mode(), full_precision(self.like):
                mel = mel.to(self.like)
                mel_line.push(mel)
                context = encode(mel, last)
                context_line.push(context)
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
            mel: the mel, checked.
            synthesis: temperature and the schedule of iterations.
            seed: of the noise.
            example: number of the utterance in its batch.
            chunk: frames that are worked on at a time, by default :data:`ROWS` steps, on a GPU
                :data:`FRAMES`; decides about memory, not about the sound.
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
        """The sounds of whole mels and their numbers; on a GPU many mels at once, in its own order.

        Args:
            mels: (n_mels, frames) each, checked; a mel's number is that of its noise.
            synthesis: temperature and the schedule of iterations.
            seed: of the noise.
            chunk: as for a call.
        """
        together: dict[int, list[int]] = {}
        for example, mel in enumerate(mels):
            if self._on_cpu or chunk is not None or mel.shape[1] > FRAMES:
                yield example, self(mel, synthesis, seed=seed, example=example, chunk=chunk)
            else:
                together.setdefault(mel.shape[1], []).append(example)
        for frames, examples in together.items():
            size = max(FRAMES // frames, 1)
            for first in range(0, len(examples), size):
                some = examples[first : first + size]
                with torch.inference_mode():
                    mel = torch.stack([mels[example] for example in some]).to(self.like)
                    noise = noise_of(seed, some, frames * self._hop, device=mel.device)
                    sounds = self._whole()(mel, noise, synthesis)
                yield from zip(some, sounds, strict=True)

    def _whole(self) -> Whole:
        """Made when it is needed: it has the weights once more."""
        if self._batches is None:
            from waveflow.inference.whole import Whole  # what it takes of tracing is slow to import

            with torch.inference_mode(False):
                self._batches = Whole(*self._plain, groups=self._groups)
        return self._batches

    def stream(
        self, mel_chunks: Iterable[Tensor], synthesis: SynthesisConfig, *, seed: int
    ) -> Iterator[Tensor]:
        """Mel chunks (n_mels, any number of frames) -> audio (samples,), as soon as it is decided.

        Args:
            mel_chunks: in order, checked, none empty.
            synthesis: temperature and the schedule of iterations.
            seed: of the noise.
        """
        push = self.begin(synthesis, seed=seed)
        rows = None
        for chunk in mel_chunks:
            rows = chunk.T
            audio = push(rows, False)
            if len(audio):
                yield audio.clone()
        if rows is not None:
            audio = push(rows[:0], True)
            if len(audio):
                yield audio.clone()

    def outputs_after(self, frames: int, synthesis: SynthesisConfig) -> int:
        """How many samples have come out when ``frames`` have gone in, and more will follow."""
        frames = self._encoder.outputs_after(frames) // self._encoder.rate
        samples = self._flow.outputs_after(frames * self._hop // self._groups)
        return self._consistency.outputs_after(samples, synthesis.schedule)

    def look_ahead(self, synthesis: SynthesisConfig) -> int:
        """The algorithmic latency in samples: how far behind the end of the mel so far the audio so
        far ends, at most. The mel's own window sees further still, by its padding.
        """
        # all that happens repeats with the whole blocks of the transforms, which frames are
        frames = range(1, 2 + self._settled(synthesis))
        return max(count * self._hop - self.outputs_after(count, synthesis) for count in frames)

    def look_back(self, synthesis: SynthesisConfig) -> int | None:
        """How far back, in samples, a sample of the sound depends on mel and noise, at most; None
        if it depends on all that came before, as behind a recursion.
        """
        far = 10**5 * self._hop
        samples = range(far, far + self._hop)
        first = [self._first_input_of(sample, synthesis) for sample in samples]
        if min(first) <= 0:
            return None
        return max(sample - needed for sample, needed in zip(samples, first, strict=True))

    def _first_input_of(self, sample: int, synthesis: SynthesisConfig) -> int:
        """The first sample whose noise, or whose frame of the mel, a sample depends on."""
        sample = self._consistency.first_input_of(sample, synthesis.schedule)
        step = self._flow.first_input_of(sample)
        row = step * self._groups * self._encoder.rate // self._hop
        return min(step * self._groups, self._encoder.first_input_of(row) * self._hop)

    def first_frames(self, synthesis: SynthesisConfig) -> int:
        """How many mel frames it takes for the first audio to come."""
        frames = 1
        while not self.outputs_after(frames, synthesis):
            frames += 1
        return frames

    def _settled(self, synthesis: SynthesisConfig) -> int:
        """Frames after which as much audio comes out as goes in."""
        return 2 * self.first_frames(synthesis) + 8


def keep_freed_memory() -> None:
    """Let the C library keep memory that is freed, for the next call to use.

    Glibc hands the end of its heap back to the system when more of it is free than twice the
    largest block freed so far, and takes it again, page by page, when it is needed: here at every
    iteration. Freeing one block of 32 MB, which is never touched, sets that limit to 64 MB.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8, device="cpu")

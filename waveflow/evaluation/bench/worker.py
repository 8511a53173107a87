"""Functions of the measuring processes; each process has one engine and one number of threads.

Loaded models and prepared mels are cached between calls.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache, partial
from itertools import pairwise

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.evaluation.bench.engines import SEED, Synthesis, counted, synthesis_of
from waveflow.evaluation.bench.memory import PeakMemory
from waveflow.evaluation.bench.plan import Case, Stream
from waveflow.evaluation.flops import gmacs_per_second
from waveflow.evaluation.peak import elapsed, matmul_peak, synchronize
from waveflow.vocoder import Vocoder

WARM_UP = 3
MOMENT = 0.1
"""Seconds of audio of a first synthesis, after which an engine has loaded everything."""


def ready(case: Case) -> dict[str, float]:
    """Warm up, and return the facts of a call.

    Returns:
        ``seconds``, the audio of a call over all examples, and ``gmac_per_s``, billions of
        multiply-accumulates per second of audio.

    Raises:
        Unavailable: the engine is not available.
    """
    for _ in range(WARM_UP):
        call(case)
    vocoder, mel = _vocoder(case.model, case.device), _mel(case, case.seconds)
    config = vocoder.config.mel
    seconds = len(mel) * mel.shape[-1] * config.hop_length / config.sample_rate
    return {
        "seconds": seconds,
        "gmac_per_s": gmacs_per_second(partial(counted(case, vocoder), mel), seconds),
    }


def call(case: Case) -> float:
    """The duration of one synthesis, seconds."""
    torch.set_num_threads(case.threads)
    synthesise = _synthesis(case)
    return elapsed(partial(synthesise, _mel(case, case.seconds)), case.device)


def call_stream(stream: Stream) -> dict[str, list[float]]:
    """Time one streamed synthesis; each chunk is available as soon as it is requested.

    Returns:
        Durations in seconds: ``first``, a list of one, from the first chunk to the first audio; and
        ``chunks``, one per chunk; the last one includes the remaining audio.
    """
    case = stream.case
    torch.set_num_threads(case.threads)
    vocoder, mel = _vocoder(case.model, case.device), _mel(case, case.seconds)
    marks: list[float] = []

    def chunks() -> Iterator[Tensor]:
        for chunk in mel[0].split(stream.frames, dim=1):
            marks.append(_now(case.device))
            yield chunk
        marks.append(_now(case.device))

    audio = vocoder.stream(chunks(), seed=SEED, consistency=case.consistency)
    next(audio)
    first = _now(case.device) - marks[0]
    for _ in audio:
        pass
    marks[-1] = _now(case.device)
    return {"first": [first], "chunks": [end - start for start, end in pairwise(marks)]}


def stream_facts(stream: Stream) -> dict[str, float]:
    """Facts of a stream that do not depend on the machine.

    Returns:
        ``chunk_ms``, the duration of a chunk's audio, and ``look_ahead_ms``, by which audio is at
        most behind the mel.
    """
    vocoder = _vocoder(stream.case.model, stream.case.device)
    config = vocoder.config.mel
    samples = vocoder.look_ahead(consistency=stream.case.consistency)
    return {
        "chunk_ms": 1000 * stream.frames * config.hop_length / config.sample_rate,
        "look_ahead_ms": 1000 * samples / config.sample_rate,
    }


def memory(case: Case) -> float | None:
    """The growth of memory in bytes during the first synthesis of this length; None if unknown.

    Call it in a separate process. The model is loaded and has synthesised a tenth of a second
    before.
    """
    torch.set_num_threads(case.threads)
    synthesise = synthesis_of(case, _vocoder(case.model, case.device))
    synthesise(_mel(case, MOMENT))
    mel = _mel(case, case.seconds)
    with PeakMemory(case.device) as grown:
        synthesise(mel)
        synchronize(case.device)
    return grown.bytes


def peak(threads: int, device: str) -> float:
    """FLOP/s of the fastest fp32 matrix product."""
    torch.set_num_threads(threads)
    return matmul_peak(device, "fp32", repeats=3)


def _synthesis(case: Case) -> Synthesis:
    """The synthesis of a case, shared by all lengths and batches."""
    return _cached_synthesis(replace(case, batch=1, seconds=1.0))


@lru_cache
def _cached_synthesis(case: Case) -> Synthesis:
    return synthesis_of(case, _vocoder(case.model, case.device))


@lru_cache
def _vocoder(model: str, device: str) -> Vocoder:
    return Vocoder.from_pretrained(model).to(device)


@lru_cache
def _mel(case: Case, seconds: float) -> Tensor:
    config = _vocoder(case.model, case.device).config.mel
    return mel_of_noise(config, case.batch, seconds).to(case.device)


def mel_of_noise(config: MelConfig, batch: int, seconds: float) -> Tensor:
    """The mel of noise as loud as speech, (batch, n_mels, frames); its content does not matter."""
    frames = max(1, round(seconds * config.sample_rate / config.hop_length))
    generator = torch.Generator("cpu").manual_seed(0)
    size, kind = (batch, frames * config.hop_length), torch.float32
    audio = 0.1 * torch.randn(size, generator=generator, dtype=kind, device="cpu")
    return LogMel(config).float()(audio)[..., :frames]


def _now(device: str) -> float:
    synchronize(device)
    return time.perf_counter()

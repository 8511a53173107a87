"""Likelihood, quality, intelligibility and speed of a vocoder on a set of recordings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from waveflow.evaluation.clip_score import ClipScore
from waveflow.evaluation.metrics import (
    NoSpeechError,
    estoi,
    pesq_narrowband,
    pesq_wideband,
    stoi,
)
from waveflow.evaluation.pitch import score_pitch
from waveflow.evaluation.quality import quality_scores, require_quality
from waveflow.evaluation.recording import Recording, nats_per_sample, read_recordings
from waveflow.evaluation.report import Report
from waveflow.evaluation.spectral import log_mel_distance, mel_cepstral_distortion, stft_distance
from waveflow.evaluation.tones import GROUPS, PauseTones, pause_tones
from waveflow.noise import checked_seed
from waveflow.vocoder import Vocoder

REPEATS = 3
"""Timed syntheses of each clip; the median counts."""


def evaluate(
    vocoder: Vocoder,
    paths: Iterable[str | Path],
    *,
    temperature: float | None = None,
    consistency: int | None = None,
    seed: int = 0,
    pitch: bool = True,
    quality: bool = False,
    progress: bool = False,
) -> Report:
    """Compute the likelihood of recordings, and score their copy syntheses.

    All recordings are read before the first one is scored, so a bad file fails early.

    Args:
        vocoder: the vocoder, on any device.
        paths: sound files, resampled to the vocoder's rate and cut to whole hops.
        temperature: temperature of the synthesis; None is the vocoder's own.
        consistency: iterations of mel consistency; None is the vocoder's own.
        seed: seed of the synthesis; likelihoods do not depend on it.
        pitch: also track pitch, which takes longer than all other default figures.
        quality: also compute DistillMOS, DNSMOS, CREPE and band periodicity, which takes minutes.
        progress: show a progress bar on stderr if it is a terminal.

    Raises:
        OSError: a file cannot be opened.
        ValueError: there is no file, a file is not a usable recording, or the vocoder makes NaN.
        ImportError: the packages of the metrics are missing; says how to install them.
    """
    seed = checked_seed(seed)
    if quality:
        require_quality()
    recordings = read_recordings(paths, vocoder.config.mel)
    device = next(vocoder.parameters()).device
    groups = getattr(vocoder.config.model, "groups", None)
    synthesis = vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
    options: dict[str, Any] = {
        "temperature": synthesis.temperature,
        "consistency": synthesis.consistency,
        "seed": seed,
    }
    scores = []
    for recording in tqdm(recordings, unit="clip", disable=None if progress else True):
        mel = recording.mel[None].to(device)
        audio, seconds = _timed(
            partial(vocoder, mel, mel_config=vocoder.config.mel, **options), device
        )
        if not audio.isfinite().all():
            raise ValueError(f"{recording.path}: expected finite audio from its mel; got NaN")
        scores.append(
            score_copy(
                recording,
                audio[0].float().clamp(-1, 1).cpu(),
                vocoder.config.mel.sample_rate,
                nats_per_sample=nats_per_sample(vocoder, recording),
                synthesis_seconds=seconds,
                groups=groups,
                pitch=pitch,
                quality=quality,
            )
        )
    return Report(tuple(scores), **options, device=str(device), threads=torch.get_num_threads())


def score_copy(
    recording: Recording,
    audio: Tensor,
    sample_rate: int,
    *,
    nats_per_sample: float | None,
    synthesis_seconds: float,
    groups: int | None,
    pitch: bool,
    quality: bool,
) -> ClipScore:
    """The figures of a copy, ``audio`` (time,), that was made from the mel of a recording."""

    def score(metric: Callable[[Tensor, Tensor, int], float]) -> float | None:
        try:
            return metric(recording.audio, audio, sample_rate)
        except NoSpeechError:
            return None

    def tones(audio: Tensor) -> PauseTones | None:
        if groups is None or groups not in GROUPS:
            return None
        try:
            return pause_tones(recording.audio, audio, groups=groups)
        except NoSpeechError:
            return None

    f0, f1 = score_pitch(recording.audio, audio, sample_rate) if pitch else (None, None)
    return ClipScore(
        file=str(recording.path),
        samples=len(recording.audio),
        seconds=len(recording.audio) / sample_rate,
        nats_per_sample=nats_per_sample,
        pesq=score(pesq_wideband),
        pesq_narrowband=score(pesq_narrowband),
        stoi=score(stoi),
        estoi=score(estoi),
        mel_cepstral_distortion=score(mel_cepstral_distortion),
        log_mel_distance=score(log_mel_distance),
        stft_distance=score(stft_distance),
        f0_error=f0,
        voicing_f1=f1,
        tones=tones(audio),
        recorded_tones=tones(recording.audio),
        synthesis_seconds=synthesis_seconds,
        **(quality_scores(recording.audio, audio, sample_rate) if quality else {}),
    )


def _timed(synthesise: Callable[[], Tensor], device: torch.device) -> tuple[Tensor, float]:
    """The audio of a synthesis, and its seconds: the median of ``REPEATS``."""
    audio = synthesise()
    seconds = []
    for _ in range(REPEATS):
        _wait_for(device)
        start = time.perf_counter()
        synthesise()
        _wait_for(device)
        seconds.append(time.perf_counter() - start)
    return audio, median(seconds)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

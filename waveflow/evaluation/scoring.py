"""Likelihood, quality, intelligibility and speed of a vocoder on a set of recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from waveflow.audio.mel import MelConfig
from waveflow.evaluation.clip_score import ClipScore
from waveflow.evaluation.metrics import estoi, judged, pesq_narrowband, pesq_wideband, stoi
from waveflow.evaluation.peak import elapsed, timed
from waveflow.evaluation.pitch import f0_error, voicing_f1
from waveflow.evaluation.quality import quality_scores, require_quality
from waveflow.evaluation.recording import Recording, nats_per_sample, read_recordings
from waveflow.evaluation.report import Report
from waveflow.evaluation.spectral import log_mel_distance, mel_cepstral_distortion, stft_distance
from waveflow.evaluation.tones import GROUPS, pause_tones
from waveflow.noise import checked_seed
from waveflow.vocoder import Vocoder

REPEATS = 3
"""Timed syntheses of each clip; the median counts."""

METRICS = {
    "pesq": pesq_wideband,
    "pesq_narrowband": pesq_narrowband,
    "stoi": stoi,
    "estoi": estoi,
    "mel_cepstral_distortion": mel_cepstral_distortion,
    "log_mel_distance": log_mel_distance,
    "stft_distance": stft_distance,
}
"""The figures of every copy."""

PITCH_METRICS = {"f0_error": f0_error, "voicing_f1": voicing_f1}
"""The figures of pitch, which take longer than the others."""


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
    device = next(vocoder.parameters()).device
    synthesis = vocoder.config.synthesis.override(temperature=temperature, consistency=consistency)
    options: dict[str, Any] = {
        "temperature": synthesis.temperature,
        "consistency": synthesis.consistency,
        "seed": seed,
    }
    scores = score_copies(
        paths,
        vocoder.config.mel,
        partial(vocoder, mel_config=vocoder.config.mel, **options),
        nats=partial(nats_per_sample, vocoder),
        device=str(device),
        repeats=REPEATS,
        groups=vocoder.config.model.groups,
        pitch=pitch,
        quality=quality,
        progress=progress,
    )
    return Report(scores, **options, device=str(device), threads=torch.get_num_threads())


def score_copies(
    paths: Iterable[str | Path],
    mel_config: MelConfig,
    make: Callable[[Tensor], Tensor],
    *,
    nats: Callable[[Recording], float] | None = None,
    device: str = "cpu",
    repeats: int = 0,
    groups: int | None,
    pitch: bool,
    quality: bool,
    progress: bool,
) -> tuple[ClipScore, ...]:
    """The scores of the copies of recordings.

    Args:
        paths: sound files.
        mel_config: mel convention of the copies.
        make: makes a copy, (1, n_mels, frames) -> audio (1, time).
        nats: nats per sample of a recording; None for a method without likelihood.
        device: device of the mels.
        repeats: timed calls for each copy, after the first one; with 0, the first one is timed.
        groups: tones are measured at multiples of sample rate / groups; None does not measure them.
        pitch: also track pitch.
        quality: also compute the figures of the extra ``quality``.
        progress: show a progress bar on stderr if it is a terminal.

    Raises:
        OSError, ValueError, ImportError: as for :func:`evaluate`.
    """
    if quality:
        require_quality()
    scores = []
    recordings = read_recordings(paths, mel_config)
    for recording in tqdm(recordings, unit="clip", disable=None if progress else True):
        synthesise = partial(make, recording.mel[None].to(device))
        audio, first = timed(synthesise, device)
        later = [elapsed(synthesise, device) for _ in range(repeats)]
        if not audio.isfinite().all():
            raise ValueError(f"{recording.path}: expected finite audio from its mel; got NaN")
        figures = _figures(
            recording.audio,
            audio[0].float().clamp(-1, 1).cpu(),
            mel_config.sample_rate,
            groups=groups,
            pitch=pitch,
            quality=quality,
        )
        scores.append(
            ClipScore(
                file=str(recording.path),
                samples=len(recording.audio),
                seconds=len(recording.audio) / mel_config.sample_rate,
                nats_per_sample=None if nats is None else nats(recording),
                synthesis_seconds=median(later or [first]),
                **figures,
            )
        )
    return tuple(scores)


def _figures(
    reference: Tensor,
    degraded: Tensor,
    sample_rate: int,
    *,
    groups: int | None,
    pitch: bool,
    quality: bool,
) -> dict[str, Any]:
    """Fields of the score of a copy, (time,); None if a figure cannot be computed."""
    metrics = METRICS | PITCH_METRICS if pitch else METRICS
    found: dict[str, Any] = {
        name: judged(metric, reference, degraded, sample_rate) for name, metric in metrics.items()
    }
    if groups in GROUPS:
        found["tones"] = judged(pause_tones, reference, degraded, groups=groups)
        found["recorded_tones"] = judged(pause_tones, reference, reference, groups=groups)
    return found | (quality_scores(reference, degraded, sample_rate) if quality else {})

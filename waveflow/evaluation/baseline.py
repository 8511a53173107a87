"""What no learning at all gives: Griffin-Lim of the same mel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.checks import tensor, whole
from waveflow.evaluation.clip_score import ClipScore
from waveflow.evaluation.quality import require_quality
from waveflow.evaluation.recording import read_recordings
from waveflow.evaluation.report import Report
from waveflow.evaluation.scoring import score_copy

ITERATIONS = 32

GRIFFIN_LIM = "Griffin-Lim"
"""Its name in tables."""


def griffin_lim(mel: Tensor, config: MelConfig, *, seed: int = 0) -> Tensor:
    """The audio of a log-mel, (n_mels, frames) -> (frames * hop_length,), in [-1, 1].

    The least-squares magnitudes of the mel (pseudo-inverse of its filters, nothing below 0), and
    phases that agree with them after 32 iterations of the fast algorithm from random ones:
    Perraudin et al., *A fast Griffin-Lim algorithm*, 2013, as librosa has it.

    Args:
        mel: natural log, (n_mels, frames).
        config: its convention.
        seed: of the first phases.

    Raises:
        ValueError: another shape.

    >>> griffin_lim(torch.full((80, 10), -6.0), MelConfig()).shape
    torch.Size([2560])
    """
    if tensor(mel, "mel").dim() != 2 or mel.shape[0] != config.n_mels or mel.shape[1] < 1:
        raise ValueError(f"expected a mel of ({config.n_mels}, frames); got {tuple(mel.shape)}")
    from librosa import griffinlim  # imported late: it brings numba along

    magnitude = (_inverse_filters(config) @ mel.double().cpu().exp().numpy()).clip(0)
    around = -(-config.n_fft // config.hop_length)  # frames beyond the ends, for whole overlaps
    audio = griffinlim(
        np.pad(magnitude, ((0, 0), (around, around)), mode="edge"),
        n_iter=ITERATIONS,
        hop_length=config.hop_length,
        win_length=config.win_length,
        n_fft=config.n_fft,
        random_state=whole(seed, "seed"),
    )
    start = around * config.hop_length - (not config.center) * config.hop_length // 2
    audio = audio[start : start + mel.shape[1] * config.hop_length]
    return torch.from_numpy(audio).float().clamp(-1, 1)


def evaluate_baseline(
    paths: Iterable[str | Path],
    mel_config: MelConfig,
    *,
    seed: int = 0,
    groups: int | None = None,
    pitch: bool = True,
    quality: bool = False,
    progress: bool = False,
) -> Report:
    """Score Griffin-Lim as :func:`waveflow.evaluation.evaluate` scores a vocoder.

    Args:
        paths: sound files, resampled to the mel's rate and cut to whole hops.
        mel_config: the convention of the mel, which should be that of the vocoder beside it.
        seed: of the first phases.
        groups: at multiples of sample rate / groups tones are looked for; None does not look.
        pitch: track pitch, too.
        quality: ask the judges of the extra ``quality``, too.
        progress: show a bar on stderr, if that is a terminal.

    Returns:
        A report without likelihoods and temperature; its speed is that of one run a clip.

    Raises:
        OSError: a file cannot be opened.
        ValueError: no file at all, or one that is no usable recording.
        ImportError: the packages of the metrics are missing; says how to install them.
    """
    seed = whole(seed, "seed")
    _inverse_filters(mel_config)  # once, and not in the first clip's time
    scores = score_copies(
        paths,
        mel_config,
        partial(griffin_lim, config=mel_config, seed=seed),
        groups=groups,
        pitch=pitch,
        quality=quality,
        progress=progress,
    )
    return Report(scores, None, None, seed, "cpu", torch.get_num_threads())


def score_copies(
    paths: Iterable[str | Path],
    mel_config: MelConfig,
    make: Callable[[Tensor], Tensor],
    *,
    groups: int | None,
    pitch: bool,
    quality: bool,
    progress: bool,
) -> tuple[ClipScore, ...]:
    """The scores of what ``make`` makes, (n_mels, frames) -> (time,) in [-1, 1], once a clip."""
    if quality:
        require_quality()
    scores = []
    recordings = read_recordings(paths, mel_config)
    for recording in tqdm(recordings, unit="clip", disable=None if progress else True):
        start = time.perf_counter()
        audio = make(recording.mel)
        seconds = time.perf_counter() - start
        scores.append(
            score_copy(
                recording,
                audio,
                mel_config.sample_rate,
                nats_per_sample=None,
                synthesis_seconds=seconds,
                groups=groups,
                pitch=pitch,
                quality=quality,
            )
        )
    return tuple(scores)


@lru_cache(maxsize=4)
def _inverse_filters(config: MelConfig) -> np.ndarray:
    """Mel to magnitudes, (1 + n_fft / 2, n_mels)."""
    return np.linalg.pinv(LogMel(config).filters.double().numpy())

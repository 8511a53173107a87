"""A baseline without learning: Griffin-Lim on the same mel."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.checks import tensor, whole
from waveflow.evaluation.report import Report
from waveflow.evaluation.scoring import score_copies

ITERATIONS = 32

GRIFFIN_LIM = "Griffin-Lim"
"""Name of the baseline in tables."""


def griffin_lim(mel: Tensor, config: MelConfig, *, seed: int = 0) -> Tensor:
    """The audio of a log-mel, (n_mels, frames) -> (frames * hop_length,), in [-1, 1].

    The magnitudes are the least-squares solution for the mel (pseudo-inverse of its filters,
    clipped at 0). The phases are random at first, and improved by 32 iterations of Perraudin et
    al., *A fast Griffin-Lim algorithm*, 2013, in librosa's implementation.

    Args:
        mel: mel, natural log, (n_mels, frames).
        config: convention of the mel.
        seed: seed of the initial phases.

    Raises:
        ValueError: the mel has another shape.

    >>> griffin_lim(torch.full((80, 10), -6.0), MelConfig()).shape
    torch.Size([2560])
    """
    if tensor(mel, "mel").dim() != 2 or mel.shape[0] != config.n_mels or mel.shape[1] < 1:
        raise ValueError(f"expected a mel of ({config.n_mels}, frames); got {tuple(mel.shape)}")
    from librosa import griffinlim  # imported late, because it imports numba

    magnitude = (_inverse_filters(config) @ mel.double().cpu().exp().numpy()).clip(0)
    around = -(-config.n_fft // config.hop_length)  # frames added at the ends
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
    """Score Griffin-Lim like :func:`waveflow.evaluation.evaluate` scores a vocoder.

    Args:
        paths: sound files, resampled to the mel's rate and cut to whole hops.
        mel_config: mel convention, that of the vocoder to compare with.
        seed: seed of the initial phases.
        groups: tones are measured at multiples of sample rate / groups; None does not measure them.
        pitch: also track pitch.
        quality: also compute the figures of the extra ``quality``.
        progress: show a progress bar on stderr if it is a terminal.

    Returns:
        A report without likelihoods and temperature; its speed is that of one run per clip.

    Raises:
        OSError: a file cannot be opened.
        ValueError: there is no file, or a file is not a usable recording.
        ImportError: the packages of the metrics are missing; says how to install them.
    """
    seed = whole(seed, "seed")
    _inverse_filters(mel_config)  # cached, so that the first clip's time does not include it
    scores = score_copies(
        paths,
        mel_config,
        lambda mel: griffin_lim(mel[0], mel_config, seed=seed)[None],
        groups=groups,
        pitch=pitch,
        quality=quality,
        progress=progress,
    )
    return Report(scores, None, None, seed, "cpu", torch.get_num_threads())


@lru_cache(maxsize=4)
def _inverse_filters(config: MelConfig) -> np.ndarray:
    """The matrix from a mel to magnitudes, (1 + n_fft / 2, n_mels)."""
    return np.linalg.pinv(LogMel(config).filters.double().numpy())

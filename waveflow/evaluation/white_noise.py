"""A baseline without a model: white noise after the iterations of mel consistency.

The iterations move a vocoder's sample towards the mel without any model of speech. The baseline
shows their part of a figure: if white noise reaches a figure as well, the flow did not contribute
to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from waveflow.checks import tensor
from waveflow.config import SynthesisConfig
from waveflow.evaluation.report import Report
from waveflow.evaluation.scoring import score_copies
from waveflow.noise import checked_seed, positional_noise
from waveflow.vocoder import Vocoder

NOISE_LEVEL = 0.01
"""Standard deviation of the noise before the first iteration."""

WHITE_NOISE = "white noise, same iterations"
"""Name of the baseline in tables."""


def white_noise(mel: Tensor, hop_length: int, *, seed: int = 0) -> Tensor:
    """White noise as long as a mel, (batch, n_mels, frames) -> (batch, frames * hop_length).

    Args:
        mel: mel with the length, dtype and device of the noise.
        hop_length: samples per frame.
        seed: seed of the noise, which depends on (seed, example, position) alone.
    """
    noise = positional_noise(seed, len(tensor(mel, "mel")), mel.shape[-1] * hop_length)
    return (NOISE_LEVEL * noise).to(mel)


@torch.no_grad()
def noise_copy(
    vocoder: Vocoder, mel: Tensor, synthesis: SynthesisConfig, *, seed: int = 0
) -> Tensor:
    """White noise after a vocoder's iterations of mel consistency.

    Args:
        vocoder: vocoder with the mel consistency; its flow is not used.
        mel: target mel, (batch, n_mels, frames).
        synthesis: options with the number of iterations, and of those that move all bins.
        seed: seed of the noise.

    Returns:
        audio, (batch, frames * hop_length), in [-1, 1].

    Raises:
        ValueError: the mel does not fit the vocoder.
    """
    noise = white_noise(mel, vocoder.config.mel.hop_length, seed=seed)
    iterations = (synthesis.consistency, synthesis.full_band)
    return vocoder.mel_consistency(noise, mel, *iterations).clamp(-1, 1)


def evaluate_noise(
    vocoder: Vocoder,
    paths: Iterable[str | Path],
    *,
    consistency: int | None = None,
    seed: int = 0,
    pitch: bool = True,
    quality: bool = False,
    progress: bool = False,
) -> Report:
    """Score :func:`noise_copy` like :func:`waveflow.evaluation.evaluate` scores the vocoder.

    Args:
        vocoder: the vocoder, on any device.
        paths: sound files, resampled to the vocoder's rate and cut to whole hops.
        consistency: iterations of mel consistency; None is the vocoder's own.
        seed: seed of the noise.
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
    synthesis, seed = vocoder.config.synthesis.override(consistency=consistency), checked_seed(seed)
    device = str(next(vocoder.parameters()).device)
    scores = score_copies(
        paths,
        vocoder.config.mel,
        partial(noise_copy, vocoder, synthesis=synthesis, seed=seed),
        device=device,
        groups=vocoder.config.model.groups,
        pitch=pitch,
        quality=quality,
        progress=progress,
    )
    threads = torch.get_num_threads()
    return Report(scores, None, synthesis.consistency, seed, device, threads)

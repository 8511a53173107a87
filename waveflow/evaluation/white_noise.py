"""What mel consistency gives without a model: white noise, brought to the mel.

A vocoder's sample is brought nearer to the mel by iterations that know nothing of speech. What they
make of white noise says how much of a figure is theirs: a figure that noise reaches, too, is not
the flow's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from waveflow.checks import tensor
from waveflow.config import SynthesisConfig
from waveflow.evaluation.baseline import score_copies
from waveflow.evaluation.report import Report
from waveflow.noise import checked_seed, positional_noise
from waveflow.vocoder import Vocoder

NOISE_LEVEL = 0.01
"""Standard deviation of the noise before the first iteration."""

WHITE_NOISE = "white noise, same iterations"
"""Its name in tables."""


def white_noise(mel: Tensor, hop_length: int, *, seed: int = 0) -> Tensor:
    """Noise as long as a mel, (batch, n_mels, frames) -> (batch, frames * hop_length).

    Args:
        mel: says length, type and device.
        hop_length: samples a frame.
        seed: the noise is a function of (seed, example, position) alone.
    """
    noise = positional_noise(seed, len(tensor(mel, "mel")), mel.shape[-1] * hop_length)
    return (NOISE_LEVEL * noise).to(mel)


@torch.no_grad()
def noise_copy(
    vocoder: Vocoder, mel: Tensor, synthesis: SynthesisConfig, *, seed: int = 0
) -> Tensor:
    """White noise after the iterations of mel consistency that a vocoder's sample gets.

    Args:
        vocoder: whose mel consistency is meant; its flow is not used.
        mel: (batch, n_mels, frames).
        synthesis: says how many iterations, and how many of them move all bins.
        seed: of the noise.

    Returns:
        audio, (batch, frames * hop_length), in [-1, 1].

    Raises:
        ValueError: a mel that does not fit the vocoder.
    """
    noise = white_noise(mel, vocoder.config.mel.hop_length, seed=seed)
    iterations = (synthesis.consistency, synthesis.full_band)
    return vocoder._consistency(noise, mel, *iterations).clamp(-1, 1)


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
    """Score :func:`noise_copy` as :func:`waveflow.evaluation.evaluate` scores the vocoder.

    Args:
        vocoder: on any device.
        paths: sound files, resampled to its rate and cut to whole hops.
        consistency: iterations; by default the vocoder's own.
        seed: of the noise.
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
    synthesis, seed = vocoder.config.synthesis.override(consistency=consistency), checked_seed(seed)
    device = next(vocoder.parameters()).device

    def make(mel: Tensor) -> Tensor:
        return noise_copy(vocoder, mel[None].to(device), synthesis, seed=seed)[0].float().cpu()

    scores = score_copies(
        paths,
        vocoder.config.mel,
        make,
        groups=getattr(vocoder.config.model, "groups", None),
        pitch=pitch,
        quality=quality,
        progress=progress,
    )
    threads = torch.get_num_threads()
    return Report(scores, None, synthesis.consistency, seed, str(device), threads)

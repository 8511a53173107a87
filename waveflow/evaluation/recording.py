"""A recording with its aligned mel, and its exact likelihood."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.audio.quantise import dequantise, fixed_noise, quantise
from waveflow.audio.reading import read_audio
from waveflow.inference.mel import mel_pieces
from waveflow.io.paths import as_path
from waveflow.vocoder import Vocoder


@dataclass(frozen=True)
class Recording:
    """``audio`` (time,) and its ``mel`` (n_mels, frames), ``time == frames * hop_length``."""

    path: Path
    audio: Tensor
    mel: Tensor


def read_recording(path: str | Path, log_mel: LogMel) -> Recording:
    """Read a sound file at the rate of a front end, cut it to whole hops, and compute its mel.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not a sound file, or is too short for a mel; names it.
    """
    config = log_mel.config
    audio, _ = read_audio(path, sample_rate=config.sample_rate)
    try:
        audio = log_mel.whole_hops(audio)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    mel = torch.cat(list(mel_pieces([audio], log_mel)), dim=1)
    return Recording(as_path(path), audio, mel)


def read_recordings(paths: Iterable[str | Path], config: MelConfig) -> list[Recording]:
    """Read recordings with mels of a convention; at least one."""
    log_mel = LogMel(config).float()
    recordings = [read_recording(path, log_mel) for path in paths]
    if not recordings:
        raise ValueError("expected recordings to evaluate; got none")
    return recordings


@torch.no_grad()
def nats_per_sample(vocoder: Vocoder, recording: Recording) -> float:
    r"""Exact log-likelihood of a recording given its mel, as in the validation of training.

    The audio is rounded to 16 bits and dequantised by fixed uniform noise, so the figure depends on
    the vocoder and the recording alone.

    Raises:
        ValueError: the likelihood is not finite.
    """
    audio = dequantise(quantise(recording.audio), fixed_noise(len(recording.audio)))
    nats = vocoder.log_prob(audio[None], recording.mel[None]).item() / len(audio)
    if not math.isfinite(nats):
        raise ValueError(f"{recording.path}: expected a finite likelihood; got {nats}")
    return nats


def bits_per_sample(nats: float) -> float:
    """Upper bound on the cost of a 16-bit recording, bits per sample, from its nats per sample."""
    return 15 - nats / math.log(2)

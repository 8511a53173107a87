"""Compare an imported vocoder with the tensors of its checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from waveflow.config import WaveGlowConfig
from waveflow.interop.families import family_of
from waveflow.interop.reference import READ_FAMILIES, Reference
from waveflow.interop.weights import Weights
from waveflow.pretrained.storage import WEIGHTS_FILE
from waveflow.vocoder import Vocoder


def compare(
    weights: Mapping[str, Tensor], folder: str | Path, *, swap_odd: bool = False
) -> dict[str, float]:
    """The difference between a saved WaveGlow and the tensors of its checkpoint, in float64.

    Args:
        weights: names and tensors of the checkpoint.
        folder: folder of the vocoder.
        swap_odd: whether the checkpoint's odd flows move the first half of the channels.

    Returns:
        The largest difference of ``latent``, ``log_prob`` (nats per sample) and ``synthesis`` on
        an arbitrary, fixed input, each relative to the largest value if that is above 1.
    """
    vocoder = Vocoder.from_pretrained(folder).double()
    vocoder.load_state_dict(load_file(Path(folder) / WEIGHTS_FILE))  # float64 is not rounded
    config, mel_config = vocoder.config.model, vocoder.config.mel
    if not isinstance(config, WaveGlowConfig):
        raise ValueError(f"{folder}: expected a waveglow; got a {config.name}")
    tensors = weights if family_of(weights) in READ_FAMILIES else Weights(weights)
    reference = Reference(tensors, hop_length=mel_config.hop_length, swap_odd=swap_odd)
    reach = 2 ** (config.layers - 1) * (config.kernel_size // 2)
    frames = math.ceil(1.25 * reach * config.groups / mel_config.hop_length) + 3
    mel = -3 + 2 * _wave((1, mel_config.n_mels, frames))
    noise = 1.2 * _wave((1, config.groups, frames * mel_config.hop_length // config.groups))
    audio = 0.3 * _wave((1, frames * mel_config.hop_length))
    with torch.no_grad():
        flow, context = vocoder.flow, vocoder.context_net(mel)
        z, nats = reference.encode(audio, mel)
        pairs = {
            "latent": (flow.bijection(audio, context)[0], z),
            "log_prob": (flow.log_prob(audio, context) / audio.shape[1], nats / audio.shape[1]),
            "synthesis": (flow.bijection.inverse(noise, context), reference.decode(noise, mel)),
        }
    return {name: _difference(*pair) for name, pair in pairs.items()}


def _wave(shape: tuple[int, ...]) -> Tensor:
    """Fixed aperiodic numbers from -1 to 1, float64."""
    index = torch.arange(math.prod(shape), dtype=torch.float64, device="cpu")
    return torch.sin(0.7310585 * index + 1e-3 * index.square()).reshape(shape)


def _difference(got: Tensor, expected: Tensor) -> float:
    """The largest difference, relative to the largest value if that is above 1; NaN is kept."""
    scale = max(1.0, float(expected.abs().max()))
    return float((got - expected).abs().max()) / scale

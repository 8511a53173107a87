"""Refuse sizes that no vocoder has before memory is allocated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict

from waveflow.config import VocoderConfig

MOST_WEIGHTS = 2**30
"""Largest number of parameters of a vocoder: 4 GiB in float32."""
_COUNTS = ("flows", "scales", "levels", "couplings", "layers")
_MOST_BLOCKS = 2**10
_LARGEST_FILTERS = 2**25


def require_affordable(config: VocoderConfig) -> None:
    """Refuse a vocoder whose sizes are too large in combination.

    Args:
        config: config of the vocoder.

    Raises:
        ValueError: a combination exceeds its limit; names it.
    """
    mel, sizes = config.mel, _sizes(config)
    _at_most(_LARGEST_FILTERS, mel.n_mels * (mel.n_fft // 2 + 1), "mel.n_mels times n_fft / 2")
    _at_most(_MOST_BLOCKS, _blocks(sizes), "flows and layers, all together,")
    _at_most(MOST_WEIGHTS, most_weights(config), "the parameters of this config")


def most_weights(config: VocoderConfig) -> int:
    """An upper bound on the number of parameters, from the sizes alone; a few times the number."""
    sizes, bands = _sizes(config), config.mel.n_mels
    channels, groups = sizes.get("channels", 1), sizes["groups"]
    encoded = sizes.get("context_channels", bands * groups)
    context = encoded + bands  # some contexts contain the mel
    layer = 2 * channels * (channels * sizes.get("kernel_size", 1) + context + channels)
    ends = groups * (groups + 4 * channels)
    context_kernel = sizes.get("context_kernel_size", 1)
    encoder = encoded * context_kernel * (bands + 2 * encoded * sizes.get("context_layers", 0))
    upsampler = bands * bands * sizes.get("upsampler_kernel_size", 0)
    whitening = 4 * context * sizes.get("whitening_groups", 0)
    blocks = -(-config.mel.hop_length // sizes.get("block", config.mel.hop_length))
    lags = config.mel.sample_rate / getattr(config.model, "lowest_pitch", math.inf)
    predictor = sizes.get("predictor_channels", 0) * (context + 2 * blocks * math.ceil(lags))
    return 2 * _blocks(sizes) * (layer + ends) + encoder + upsampler + whitening + predictor


def _blocks(sizes: Mapping[str, int]) -> int:
    return math.prod(max(value, 1) for name, value in sizes.items() if name in _COUNTS)


def _sizes(config: VocoderConfig) -> dict[str, int]:
    return {
        name: value
        for name, value in asdict(config.model).items()
        if isinstance(value, int) and not isinstance(value, bool)
    }


def _at_most(limit: int, value: float, name: str) -> None:
    if value > limit:
        raise ValueError(f"expected {name} to be at most {limit}; got {value}")

"""Build a vocoder from WaveGlow's weights, by their canonical names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from waveflow.audio.mel import MelConfig
from waveflow.bijections import Coupling, InvertibleConv1x1
from waveflow.config import VocoderConfig, WaveGlowConfig
from waveflow.interop.weights import Weights
from waveflow.vocoder import Vocoder

_MOST_FLOWS = 128
_LONGEST_REACH = 2**13


def vocoder_from_state_dict(
    state_dict: Mapping[str, Tensor], *, mel: MelConfig | None = None, swap_odd: bool = False
) -> Vocoder:
    """Build a WaveGlow vocoder from a state dict of any family.

    All sizes are read from the shapes of the tensors. The names are those of a family in
    :data:`waveflow.interop.families.FAMILIES`, with weight norm in either of torch's spellings or
    removed. The result is float64 if all tensors are, float32 otherwise.

    Args:
        state_dict: names and tensors, such as ``WN.0.in_layers.0.weight_v``.
        mel: convention of its mels; None is ``nvidia-22k``.
        swap_odd: whether every second flow moves the first half of the channels, as in the public
            ``glow_old.py``; the names do not show it.

    Returns:
        The vocoder, in evaluation mode. Its latent has the public model's channel order.

    Raises:
        ValueError: a name or a shape does not fit this structure; names it.
    """
    mel = mel or MelConfig.named("nvidia-22k")
    weights = Weights(state_dict)
    config = _sizes(weights, mel, swap_odd=swap_odd)
    upsampler = {
        "weight": weights.take(
            "upsample.weight", (mel.n_mels, mel.n_mels, config.upsampler_kernel_size)
        ),
        "bias": weights.take("upsample.bias", (mel.n_mels,)),
    }
    flows = [_flow(weights, config, mel.n_mels, flow) for flow in range(config.flows)]
    weights.require_all_read()  # before memory is allocated for sizes that no tensor has
    with torch.device("cpu"):
        vocoder = Vocoder(VocoderConfig(model=config, mel=mel)).to(weights.dtype)
    vocoder.load_state_dict(_named(upsampler, flows, vocoder))
    return vocoder.eval()


def _sizes(weights: Weights, mel: MelConfig, *, swap_odd: bool) -> WaveGlowConfig:
    """The sizes from the shapes; early outputs are where the 1x1 matrices shrink."""
    flows, layers = weights.counts["flow"], weights.counts["layer"]
    if flows > _MOST_FLOWS:
        raise ValueError(f"expected at most {_MOST_FLOWS} flows; got {flows}")
    sizes = [weights.shape(f"convinv.{flow}.conv.weight", 3)[0] for flow in range(flows)]
    shrinks = [flow for flow in range(1, flows) if sizes[flow] < sizes[flow - 1]]
    every = shrinks[0] if shrinks else flows
    early = sizes[every - 1] - sizes[every] if shrinks else 2
    for flow, size in enumerate(sizes):
        expected = sizes[0] - early * (flow // every)
        if size != expected or size < 2 or size % 2:
            raise ValueError(
                f"{weights.held(f'convinv.{flow}.conv.weight')}: expected {expected} channels, "
                f"an even number; got {size}"
            )
    if mel.hop_length % sizes[0]:
        raise ValueError(
            f"{weights.held('convinv.0.conv.weight')}: expected channels that divide the mel's "
            f"hop_length {mel.hop_length}; got {sizes[0]}"
        )
    _, channels, kernel_size = weights.layer_shape("WN.0.in_layers.0")
    dilated = weights.held("WN.0.in_layers.0")
    if kernel_size % 2 == 0:
        raise ValueError(f"{dilated}: expected an odd kernel; got {kernel_size}")
    if layers > 16 or 2 ** (layers - 1) * (kernel_size // 2) > _LONGEST_REACH:
        raise ValueError(
            f"{dilated}: expected dilated kernels that reach at most {_LONGEST_REACH} "
            f"steps; got {layers} layers of kernel {kernel_size}"
        )
    # checks the width against a tensor that has it
    weights.take("WN.0.cond_layer.bias", (2 * channels * layers,))
    return WaveGlowConfig(
        groups=sizes[0],
        flows=flows,
        early_every=every,
        early_size=early,
        channels=channels,
        layers=layers,
        kernel_size=kernel_size,
        upsampler_kernel_size=weights.shape("upsample.weight", 3)[-1],
        swap_odd=swap_odd,
    )


def _flow(
    weights: Weights, config: WaveGlowConfig, bands: int, flow: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """The matrix of a flow, and the tensors of its network by their names in waveflow."""
    size = config.groups - config.early_size * (flow // config.early_every)
    width, count = config.channels, config.layers
    matrix = weights.take(f"convinv.{flow}.conv.weight", (size, size, 1)).squeeze(-1)
    layers = {  # with weight norm, by their names in waveflow
        "condition": ("cond_layer", (2 * width * count, bands * config.groups, 1)),
        "start": ("start", (width, size // 2, 1)),
    }
    for i in range(count):
        outputs = 2 * width if i < count - 1 else width  # the last layer has no residual
        layers[f"dilated.{i}"] = (f"in_layers.{i}", (2 * width, width, config.kernel_size))
        layers[f"residual_skip.{i}"] = (f"res_skip_layers.{i}", (outputs, width, 1))
    tensors = {
        f"{ours}.{tensor}": value
        for ours, (name, shape) in layers.items()
        for tensor, value in weights.layer(f"WN.{flow}.{name}", shape).items()
    }
    for tensor, shape in (("weight", (size, width, 1)), ("bias", (size,))):
        tensors[f"end.{tensor}"] = weights.take(f"WN.{flow}.end.{tensor}", shape)
    return matrix, tensors


def _named(
    upsampler: dict[str, Tensor], flows: list[tuple[Tensor, dict[str, Tensor]]], vocoder: Vocoder
) -> dict[str, Tensor]:
    """The vocoder's state dict."""
    modules = list(vocoder.named_modules())
    convolutions = [name for name, module in modules if isinstance(module, InvertibleConv1x1)]
    couplings = [name for name, module in modules if isinstance(module, Coupling)]
    named = {f"context_net.convolution.{name}": value for name, value in upsampler.items()}
    for convolution, coupling, (matrix, tensors) in zip(
        convolutions, couplings, flows, strict=True
    ):
        named[f"{convolution}.weight"] = matrix
        named |= {f"{coupling}.conditioner.{name}": value for name, value in tensors.items()}
    return named

"""NVIDIA's WaveGlow weights in waveflow's objects."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from waveflow.audio.mel import MelConfig
from waveflow.bijections import Coupling, InvertibleConv1x1
from waveflow.config import VocoderConfig, WaveGlowConfig
from waveflow.vocoder import Vocoder

_LAYERS = {  # a WaveNet's layers, by the public model's names
    "start": "start",
    "cond_layer": "condition",
    "in_layers": "dilated",
    "res_skip_layers": "residual_skip",
    "end": "end",
}
_TENSORS = {  # a layer's tensors; weight norm keeps magnitude g and direction v
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
    "weight": "weight",
    "bias": "bias",
}


def vocoder_from_state_dict(
    state_dict: Mapping[str, Tensor], *, mel: MelConfig | None = None
) -> Vocoder:
    """Build a WaveGlow vocoder from the state dict of NVIDIA's ``glow.WaveGlow``.

    All sizes are read off the tensors' shapes, the precision off their types. The weights must
    still be weight-normalised (``weight_g``, ``weight_v``), as training checkpoints are.

    Args:
        state_dict: names and tensors, such as ``WN.0.in_layers.0.weight_v``.
        mel: the convention of its mels; ``nvidia-22k`` by default.

    Returns:
        The vocoder, in evaluation mode. Its latent has the public model's channel order.

    Raises:
        ValueError: names or shapes that do not fit this structure; says which.
    """
    mel = mel or MelConfig.named("nvidia-22k")
    try:
        config = _infer_config(state_dict)
    except KeyError as error:
        raise ValueError(f"expected the state dict of a WaveGlow; it has no {error}") from None
    vocoder = Vocoder(VocoderConfig(model=config, mel=mel)).to(state_dict["upsample.weight"].dtype)
    modules = list(vocoder.named_modules())
    convolutions = [name for name, module in modules if isinstance(module, InvertibleConv1x1)]
    couplings = [name for name, module in modules if isinstance(module, Coupling)]

    weights = {}
    for name, value in state_dict.items():
        if match := re.fullmatch(r"upsample\.(weight|bias)", name):
            weights[f"context_net.convolution.{match[1]}"] = value
        elif match := re.fullmatch(r"convinv\.(\d+)\.conv\.weight", name):
            weights[f"{convolutions[int(match[1])]}.weight"] = value.squeeze(-1)
        elif match := re.fullmatch(r"WN\.(\d+)\.([a-z_]+)((?:\.\d+)?)\.(\w+)", name):
            flow, layer, index, tensor = match.groups()
            if layer not in _LAYERS or tensor not in _TENSORS:
                raise ValueError(f"expected the state dict of a WaveGlow; got {name}")
            conditioner = f"{couplings[int(flow)]}.conditioner"
            weights[f"{conditioner}.{_LAYERS[layer]}{index}.{_TENSORS[tensor]}"] = value
        else:
            raise ValueError(f"expected the state dict of a WaveGlow; got {name}")
    try:
        vocoder.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"state dict does not fit: {' '.join(str(error).split())}") from None
    return vocoder.eval()


def _infer_config(state_dict: Mapping[str, Tensor]) -> WaveGlowConfig:
    """The sizes that the shapes tell. Early outputs show where the 1x1 matrices shrink."""
    flows = sum(name.startswith("convinv.") for name in state_dict)
    layers = sum(
        re.fullmatch(r"WN\.0\.in_layers\.\d+\.bias", name) is not None for name in state_dict
    )
    sizes = [state_dict[f"convinv.{flow}.conv.weight"].shape[0] for flow in range(max(flows, 1))]
    shrinks = [flow for flow in range(1, flows) if sizes[flow] < sizes[flow - 1]]
    _, channels, kernel_size = state_dict["WN.0.in_layers.0.weight_v"].shape
    return WaveGlowConfig(
        groups=sizes[0],
        flows=flows,
        early_every=shrinks[0] if shrinks else flows,
        early_size=sizes[shrinks[0] - 1] - sizes[shrinks[0]] if shrinks else 2,
        channels=channels,
        layers=layers,
        kernel_size=kernel_size,
        upsampler_kernel_size=state_dict["upsample.weight"].shape[-1],
    )

"""SqueezeWave: WaveGlow squeezed until its convolutions are cheap."""

from __future__ import annotations

from torch import nn

from waveflow.bijections import Bijection
from waveflow.models.waveglow import affine_flows
from waveflow.nets import SeparableWaveNet


def squeezewave(
    *,
    groups: int,
    flows: int,
    early_every: int,
    early_size: int,
    context_channels: int,
    channels: int,
    layers: int,
    kernel_size: int,
    causal: bool = False,
) -> Bijection:
    """Zhai et al., *SqueezeWave* (https://arxiv.org/abs/2001.05685), section 3.

    WaveGlow's flows, a 1x1 convolution and an affine coupling each, with early outputs between
    them; but of many more samples a step, so that few steps are left, and with separable
    convolutions in the couplings. (batch, time) -> (batch, groups, time / groups).

    Args:
        groups: samples a step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
        context_channels: channels of the context.
        channels: hidden channels of a coupling's SeparableWaveNet.
        layers: its gated layers.
        kernel_size: the kernel of its depthwise convolutions.
        causal: whether it sees no step after its own.
    """

    def conditioner(kept: int, parameters: int) -> nn.Module:
        return SeparableWaveNet(
            kept,
            parameters,
            context_channels,
            channels=channels,
            layers=layers,
            kernel_size=kernel_size,
            causal=causal,
        )

    return affine_flows(
        conditioner, groups=groups, flows=flows, early_every=early_every, early_size=early_size
    )

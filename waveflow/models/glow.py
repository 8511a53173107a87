"""Glow: steps of ActNorm, invertible 1x1 convolution and affine coupling, at several levels."""

from __future__ import annotations

from waveflow.bijections import (
    ActNorm,
    Affine,
    Bijection,
    Chain,
    Channels,
    Coupling,
    EarlyOutput,
    PLUConv1x1,
    Polyphase,
)
from waveflow.nets import WaveNet


def glow(
    *,
    groups: int,
    levels: int,
    flows: int,
    context_channels: int,
    channels: int,
    layers: int,
    kernel_size: int,
    causal: bool = False,
) -> Bijection:
    """Kingma & Dhariwal, *Glow* (https://arxiv.org/abs/1807.03039), figure 2, on squeezed audio.

    A level is ``flows`` steps of ActNorm, 1x1 convolution in PLU form and affine coupling; between
    levels half of the channels leave. (batch, time) -> (batch, groups, time / groups).

    Args:
        groups: samples a step; a multiple of 2 ** levels.
        levels: number of levels.
        flows: steps a level.
        context_channels: channels of the context.
        channels: hidden channels of a coupling's WaveNet.
        layers: its gated layers.
        kernel_size: its kernel.
        causal: whether it sees no step after its own.
    """
    if groups % 2**levels:
        raise ValueError(f"glow: expected groups to be a multiple of 2 ** {levels}; got {groups}")

    def step(size: int) -> Bijection:
        kept, moved = Channels().sizes(size)
        conditioner = WaveNet(
            kept,
            Affine.n_params * moved,
            context_channels,
            channels=channels,
            layers=layers,
            kernel_size=kernel_size,
            causal=causal,
        )
        return Chain(ActNorm(size), PLUConv1x1(size), Coupling(Channels(), conditioner, Affine()))

    def level(remaining: int, size: int) -> Bijection:
        steps = [step(size) for _ in range(flows)]
        if remaining > 1:
            steps.append(EarlyOutput(size // 2, level(remaining - 1, size - size // 2)))
        return Chain(*steps)

    return Chain(Polyphase(groups), level(levels, groups))

"""Real NVP: affine couplings on checkerboards and channel halves, at several scales."""

from __future__ import annotations

from waveflow.bijections import (
    ActNorm,
    Affine,
    Bijection,
    Chain,
    Channels,
    Checkerboard,
    Coupling,
    EarlyOutput,
    Partition,
    Polyphase,
)
from waveflow.nets import WaveNet


def realnvp(
    *,
    groups: int,
    scales: int,
    couplings: int,
    context_channels: int,
    channels: int,
    layers: int,
    kernel_size: int,
    causal: bool = False,
) -> Bijection:
    """Dinh et al., *Real NVP* (https://arxiv.org/abs/1605.08803), on squeezed audio.

    A scale is ``couplings`` couplings on alternating checkerboards, then as many on alternating
    channel halves (figure 3), each behind a normalisation (section 3.7); between scales half of
    the channels leave (section 3.6). (batch, time) -> (batch, groups, time / groups).

    Args:
        groups: samples a step; a multiple of 2 ** scales.
        scales: number of scales.
        couplings: couplings of either kind a scale.
        context_channels: channels of the context.
        channels: hidden channels of a coupling's WaveNet.
        layers: its gated layers.
        kernel_size: its kernel.
        causal: whether it sees no step after its own.
    """
    if groups % 2**scales:
        raise ValueError(
            f"realnvp: expected groups to be a multiple of 2 ** {scales}; got {groups}"
        )

    def affine_coupling(partition: Partition, size: int) -> Bijection:
        kept, moved = partition.sizes(size)
        conditioner = WaveNet(
            kept,
            Affine.n_params * moved,
            context_channels,
            channels=channels,
            layers=layers,
            kernel_size=kernel_size,
            causal=causal,
        )
        return Chain(ActNorm(size), Coupling(partition, conditioner, Affine()))

    def scale(remaining: int, size: int) -> Bijection:
        swaps = [index % 2 == 1 for index in range(couplings)]
        steps = [affine_coupling(Checkerboard(swap=swap), size) for swap in swaps]
        steps += [affine_coupling(Channels(swap=swap), size) for swap in swaps]
        if remaining > 1:
            steps.append(EarlyOutput(size // 2, scale(remaining - 1, size - size // 2)))
        return Chain(*steps)

    return Chain(Polyphase(groups), scale(scales, groups))

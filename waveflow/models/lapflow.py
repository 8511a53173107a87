"""lapflow: whiten the spectral envelope in one lapped domain, find its phases in another."""

from __future__ import annotations

from torch import nn

from waveflow.bijections import (
    ActNorm,
    Bijection,
    Chain,
    ContextAffine,
    Inverse,
    Lapped,
    Scale,
)
from waveflow.models.source_filter import glow_steps


def lapflow(
    *,
    whitening_groups: int,
    groups: int,
    flows: int,
    context_channels: int,
    channels: int,
    layers: int,
    kernel_size: int,
    causal: bool = False,
) -> Bijection:
    """A source-filter flow on audio, (batch, time) -> (batch, groups, time / groups).

    The lapped transform is orthonormal and so is its inverse: the first half scales every band of
    a fine lapped domain by what the mel says of its level, and goes back to time; the second half
    squeezes that whitened excitation into wider bands, with finer steps, and runs Glow steps on it.

    Args:
        whitening_groups: bands of the whitening; as many as samples a context frame, or a divisor.
        groups: bands of the couplings; likewise.
        flows: number of Glow steps.
        context_channels: channels of the context.
        channels: hidden channels of a coupling's WaveNet.
        layers: its gated layers.
        kernel_size: its kernel.
        causal: whether it sees no step after its own.
    """
    whitening = Chain(
        Lapped(whitening_groups),
        ActNorm(whitening_groups),
        ContextAffine(_linear(context_channels, whitening_groups), Scale()),
        Inverse(Lapped(whitening_groups)),
    )
    steps = glow_steps(
        groups=groups,
        flows=flows,
        context_channels=context_channels,
        channels=channels,
        layers=layers,
        kernel_size=kernel_size,
        causal=causal,
    )
    return Chain(whitening, Lapped(groups), *steps)


def _linear(in_channels: int, out_channels: int) -> nn.Module:
    """A map of each context frame to parameters that start at zero."""
    linear = nn.Conv1d(in_channels, out_channels, 1)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    return linear

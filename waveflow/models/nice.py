"""NICE: additive couplings, and one scaling at the end."""

from __future__ import annotations

from waveflow.bijections import ActNorm, Additive, Bijection, Chain, Channels, Coupling, Polyphase
from waveflow.nets import WaveNet


def nice(
    *,
    groups: int,
    flows: int,
    context_channels: int,
    channels: int,
    layers: int,
    kernel_size: int,
    causal: bool = False,
) -> Bijection:
    """Dinh et al., *NICE* (https://arxiv.org/abs/1410.8516), on squeezed audio.

    Couplings that only shift preserve volume; the diagonal scaling at the end (section 3.3), here
    an ActNorm, is all that shapes the density. (batch, time) -> (batch, groups, time / groups).

    Args:
        groups: samples a step.
        flows: number of couplings, the halves alternating.
        context_channels: channels of the context.
        channels: hidden channels of a coupling's WaveNet.
        layers: its gated layers.
        kernel_size: its kernel.
        causal: whether it sees no step after its own.
    """
    couplings = []
    for flow in range(flows):
        partition = Channels(swap=flow % 2 == 1)
        kept, moved = partition.sizes(groups)
        conditioner = WaveNet(
            kept,
            Additive.n_params * moved,
            context_channels,
            channels=channels,
            layers=layers,
            kernel_size=kernel_size,
            causal=causal,
        )
        couplings.append(Coupling(partition, conditioner, Additive()))
    return Chain(Polyphase(groups), *couplings, ActNorm(groups))

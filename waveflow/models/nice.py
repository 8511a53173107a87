"""NICE: additive couplings, and one scaling at the end."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from waveflow.bijections import ActNorm, Additive, Bijection, Chain, Channels, Coupling, Polyphase


def nice(
    conditioner: Callable[[int, int], nn.Module],
    *,
    groups: int,
    flows: int,
) -> Bijection:
    """Dinh et al., *NICE* (https://arxiv.org/abs/1410.8516), on squeezed audio.

    Couplings that only shift preserve volume; the diagonal scaling at the end (section 3.3), here
    an ActNorm, is all that shapes the density. (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: samples a step.
        flows: number of couplings, the halves alternating.
    """
    couplings = []
    for flow in range(flows):
        partition = Channels(swap=flow % 2 == 1)
        kept, moved = partition.sizes(groups)
        network = conditioner(kept, Additive.n_params * moved)
        couplings.append(Coupling(partition, network, Additive()))
    return Chain(Polyphase(groups), *couplings, ActNorm(groups))

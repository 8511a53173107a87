"""WaveGlow, with exactly the structure of the public model."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from waveflow.bijections import (
    Affine,
    Bijection,
    Chain,
    Channels,
    Coupling,
    EarlyOutput,
    InvertibleConv1x1,
    Polyphase,
)


def waveglow(
    conditioner: Callable[[int, int], nn.Module],
    *,
    groups: int,
    flows: int,
    early_every: int,
    early_size: int,
    swap_odd: bool = False,
) -> Bijection:
    """Prenger et al., *WaveGlow* (https://arxiv.org/abs/1811.00002), figure 1.

    Every flow is a 1x1 convolution, then an affine coupling of the second half of the channels;
    before each ``early_every``-th flow but the first, ``early_size`` channels leave.
    (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: samples a step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
        swap_odd: whether every second flow, from the second on, moves the first half of the
            channels instead, as in the public project's ``glow_old.py``.

    Raises:
        ValueError: the early outputs leave fewer than 2 channels.
    """
    left = groups - early_size * ((flows - 1) // early_every)
    if left < 2:
        raise ValueError(f"expected at least 2 channels after the early outputs; got {left}")

    def flow(index: int, size: int) -> Bijection:
        partition = Channels(swap=swap_odd and index % 2 == 1)
        kept, moved = partition.sizes(size)
        network = conditioner(kept, Affine.n_params * moved)
        return Chain(InvertibleConv1x1(size), Coupling(partition, network, Affine()))

    def flows_from(index: int, size: int) -> Bijection:
        stop = min(index + early_every, flows)
        steps = [flow(i, size) for i in range(index, stop)]
        if stop < flows:
            steps.append(EarlyOutput(early_size, flows_from(stop, size - early_size)))
        return Chain(*steps)

    return Chain(Polyphase(groups), flows_from(0, groups))

"""SqueezeWave: WaveGlow squeezed until its convolutions are cheap."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from waveflow.bijections import Bijection
from waveflow.models.waveglow import waveglow


def squeezewave(
    conditioner: Callable[[int, int], nn.Module],
    *,
    groups: int,
    flows: int,
    early_every: int,
    early_size: int,
) -> Bijection:
    """Zhai et al., *SqueezeWave* (https://arxiv.org/abs/2001.05685), section 3.

    WaveGlow's flows, a 1x1 convolution and an affine coupling each, with early outputs between
    them; but of many more samples a step, so that few steps are left, and with separable
    convolutions in the couplings. (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.SeparableWaveNet`.
        groups: samples a step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
    """
    return waveglow(
        conditioner, groups=groups, flows=flows, early_every=early_every, early_size=early_size
    )

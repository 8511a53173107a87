"""lapflow: whiten the spectral envelope in one lapped domain, then take Glow steps in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from waveflow.audio.mel import MelConfig
from waveflow.bijections import (
    ActNorm,
    Bijection,
    Chain,
    ContextAffine,
    Inverse,
    LappedTransform,
    Scale,
)
from waveflow.models.base import Conditioner
from waveflow.models.whitened import WhitenedConfig, glow_steps
from waveflow.nets.wavenet import zeroed


def lapflow(
    conditioner: Conditioner,
    *,
    whitening_groups: int,
    groups: int,
    flows: int,
    context_channels: int,
) -> Bijection:
    """A source-filter flow on audio, (batch, time) -> (batch, groups, time / groups).

    The lapped transform and its inverse are orthonormal. The first half scales every band of a
    fine lapped domain by its level in the mel, and transforms back to time. The second half
    squeezes this whitened excitation into wider bands with finer time steps, and runs Glow steps
    on it.

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        whitening_groups: bands of the whitening; a divisor of the samples per context frame.
        groups: bands of the couplings; a divisor of the samples per context frame.
        flows: number of Glow steps.
        context_channels: channels of the context.
    """
    whitening = Chain(
        LappedTransform(whitening_groups),
        ActNorm(whitening_groups),
        ContextAffine(zeroed(nn.Conv1d(context_channels, whitening_groups, 1)), Scale()),
        Inverse(LappedTransform(whitening_groups)),
    )
    steps = glow_steps(conditioner, groups=groups, flows=flows)
    return Chain(whitening, LappedTransform(groups), *steps)


@dataclass(frozen=True)
class LapflowConfig(WhitenedConfig):
    """The config of :func:`waveflow.models.lapflow`."""

    name: ClassVar[str] = "lapflow"

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = lapflow(
            self._conditioner(context_net),
            whitening_groups=self.whitening_groups,
            groups=self.groups,
            flows=self.flows,
            context_channels=context_net.out_channels,
        )
        return context_net, flow

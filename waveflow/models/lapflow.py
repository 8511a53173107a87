"""lapflow: whiten the spectral envelope in one lapped domain, find its phases in another."""

from __future__ import annotations

from collections.abc import Callable
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
    Lapped,
    Scale,
)
from waveflow.models.whitened import WhitenedConfig, glow_steps


def lapflow(
    conditioner: Callable[[int, int], nn.Module],
    *,
    whitening_groups: int,
    groups: int,
    flows: int,
    context_channels: int,
) -> Bijection:
    """A source-filter flow on audio, (batch, time) -> (batch, groups, time / groups).

    The lapped transform is orthonormal and so is its inverse: the first half scales every band of
    a fine lapped domain by what the mel says of its level, and goes back to time; the second half
    squeezes that whitened excitation into wider bands, with finer steps, and runs Glow steps on it.

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        whitening_groups: bands of the whitening; as many as samples a context frame, or a divisor.
        groups: bands of the couplings; likewise.
        flows: number of Glow steps.
        context_channels: channels of the context.
    """
    whitening = Chain(
        Lapped(whitening_groups),
        ActNorm(whitening_groups),
        ContextAffine(_linear(context_channels, whitening_groups), Scale()),
        Inverse(Lapped(whitening_groups)),
    )
    steps = glow_steps(conditioner, groups=groups, flows=flows)
    return Chain(whitening, Lapped(groups), *steps)


def _linear(in_channels: int, out_channels: int) -> nn.Module:
    """A map of each context frame to parameters that start at zero."""
    linear = nn.Conv1d(in_channels, out_channels, 1)
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    return linear


@dataclass(frozen=True)
class LapflowConfig(WhitenedConfig):
    """:func:`waveflow.models.lapflow`."""

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

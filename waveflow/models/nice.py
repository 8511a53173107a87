"""NICE: additive couplings, and one scaling at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from waveflow.audio.fields import number
from waveflow.audio.mel import MelConfig
from waveflow.bijections import ActNorm, Additive, Bijection, Chain, Channels, Coupling, Squeeze
from waveflow.models.base import MOST_FLOWS, Conditioner, EncodedConfig


def nice(
    conditioner: Conditioner,
    *,
    groups: int,
    flows: int,
) -> Bijection:
    """Dinh et al., *NICE* (https://arxiv.org/abs/1410.8516), on squeezed audio.

    Couplings that only shift preserve volume. Only the diagonal scaling at the end (section 3.3),
    here an ActNorm, changes the density. (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: samples per step.
        flows: number of couplings, on alternating halves.
    """
    couplings = [
        Coupling.of(Channels(swap=flow % 2 == 1), groups, conditioner, Additive())
        for flow in range(flows)
    ]
    return Chain(Squeeze(groups), *couplings, ActNorm(groups))


@dataclass(frozen=True)
class NiceConfig(EncodedConfig):
    """The config of :func:`waveflow.models.nice`.

    Attributes:
        flows: number of couplings.
    """

    name: ClassVar[str] = "nice"
    flows: int = number(6, 0, MOST_FLOWS)

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        conditioner = self._conditioner(context_net)
        return context_net, nice(conditioner, groups=self.groups, flows=self.flows)

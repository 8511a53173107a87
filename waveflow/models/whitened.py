"""Shared parts of the models that whiten the envelope and then take Glow steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from waveflow.audio.fields import number
from waveflow.bijections import ActNorm, Affine, Bijection, Channels, Coupling, InvertibleConv1x1
from waveflow.models.base import MOST_FLOWS, WIDEST, Conditioner, EncodedConfig, ModelConfig


def glow_steps(
    conditioner: Conditioner,
    *,
    groups: int,
    flows: int,
) -> list[Bijection]:
    """Glow steps whose couplings move the two halves of the bands alternately.

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: bands of the couplings.
        flows: number of Glow steps.
    """
    steps: list[Bijection] = []
    for flow in range(flows):
        partition = Channels(swap=flow % 2 == 1)
        coupling = Coupling.of(partition, groups, conditioner, Affine())
        steps += [ActNorm(groups), InvertibleConv1x1(groups), coupling]
    return steps


@dataclass(frozen=True)
class WhitenedConfig(EncodedConfig):
    """The fields of the models that whiten the envelope and then take Glow steps.

    Attributes:
        whitening_groups: bands of the whitening; a divisor of the hop.
        flows: number of Glow steps.
    """

    _divide_hop: ClassVar[tuple[str, ...]] = ("groups", "whitening_groups")
    groups: int = number(64, 2, WIDEST, parity=0)
    whitening_groups: int = number(256, 2, WIDEST, parity=0)
    flows: int = number(6, 0, MOST_FLOWS)

    def grows_from(self, smaller: ModelConfig) -> bool:
        """Whether ``smaller`` is this model with fewer Glow steps.

        New steps come last and start as rotations, which keep a standard normal latent standard
        normal.
        """
        if not isinstance(smaller, WhitenedConfig) or smaller.flows > self.flows:
            return False
        return self == replace(smaller, flows=self.flows)

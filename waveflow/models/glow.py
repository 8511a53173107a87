"""Glow: steps of ActNorm, invertible 1x1 convolution and affine coupling, at several levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from waveflow.audio.fields import number, relation
from waveflow.audio.mel import MelConfig
from waveflow.bijections import (
    ActNorm,
    Affine,
    Bijection,
    Chain,
    Channels,
    Coupling,
    EarlyOutput,
    PLUConv1x1,
    Squeeze,
)
from waveflow.models.base import MOST_FLOWS, Conditioner, EncodedConfig


def glow(
    conditioner: Conditioner,
    *,
    groups: int,
    levels: int,
    flows: int,
) -> Bijection:
    """Kingma & Dhariwal, *Glow* (https://arxiv.org/abs/1807.03039), figure 2, on squeezed audio.

    A level is ``flows`` steps of ActNorm, 1x1 convolution in PLU form and affine coupling; between
    levels half of the channels become outputs. (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: samples per step; a multiple of 2 ** levels.
        levels: number of levels.
        flows: steps per level.

    Raises:
        ValueError: ``groups`` is not a multiple of 2 ** levels.
    """
    if groups % 2**levels:
        raise ValueError(f"glow: expected groups to be a multiple of 2 ** {levels}; got {groups}")

    def step(size: int) -> Bijection:
        coupling = Coupling.of(Channels(), size, conditioner, Affine())
        return Chain(ActNorm(size), PLUConv1x1(size), coupling)

    def level(remaining: int, size: int) -> Bijection:
        steps = [step(size) for _ in range(flows)]
        if remaining > 1:
            steps.append(EarlyOutput(size // 2, level(remaining - 1, size - size // 2)))
        return Chain(*steps)

    return Chain(Squeeze(groups), level(levels, groups))


@dataclass(frozen=True)
class GlowConfig(EncodedConfig):
    """The config of :func:`waveflow.models.glow`.

    Attributes:
        levels: number of levels.
        flows: steps per level.
    """

    name: ClassVar[str] = "glow"
    levels: int = number(2, 1, 64)
    flows: int = number(3, 1, MOST_FLOWS)

    @relation("groups", "levels")
    def _halves(self) -> str | None:
        return self._halved("levels")

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = glow(
            self._conditioner(context_net),
            groups=self.groups,
            levels=self.levels,
            flows=self.flows,
        )
        return context_net, flow

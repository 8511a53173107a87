"""Real NVP: affine couplings on checkerboards and channel halves, at several scales."""

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
    Checkerboard,
    Coupling,
    EarlyOutput,
    Partition,
    Squeeze,
)
from waveflow.models.base import Conditioner, EncodedConfig


def realnvp(
    conditioner: Conditioner,
    *,
    groups: int,
    scales: int,
    couplings: int,
) -> Bijection:
    """Dinh et al., *Real NVP* (https://arxiv.org/abs/1605.08803), on squeezed audio.

    A scale is ``couplings`` couplings on alternating checkerboards, then as many on alternating
    channel halves (figure 3), each after a normalisation (section 3.7); between scales half of
    the channels become outputs (section 3.6). (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: samples per step; a multiple of 2 ** scales.
        scales: number of scales.
        couplings: couplings of each kind per scale.

    Raises:
        ValueError: ``groups`` is not a multiple of 2 ** scales.
    """
    if groups % 2**scales:
        raise ValueError(
            f"realnvp: expected groups to be a multiple of 2 ** {scales}; got {groups}"
        )

    def affine_coupling(partition: Partition, size: int) -> Bijection:
        return Chain(ActNorm(size), Coupling.of(partition, size, conditioner, Affine()))

    def scale(remaining: int, size: int) -> Bijection:
        swaps = [index % 2 == 1 for index in range(couplings)]
        steps = [affine_coupling(Checkerboard(swap=swap), size) for swap in swaps]
        steps += [affine_coupling(Channels(swap=swap), size) for swap in swaps]
        if remaining > 1:
            steps.append(EarlyOutput(size // 2, scale(remaining - 1, size - size // 2)))
        return Chain(*steps)

    return Chain(Squeeze(groups), scale(scales, groups))


@dataclass(frozen=True)
class RealNVPConfig(EncodedConfig):
    """The config of :func:`waveflow.models.realnvp`.

    Attributes:
        scales: number of scales.
        couplings: couplings of each kind per scale.
    """

    name: ClassVar[str] = "realnvp"
    scales: int = number(2, 1, 64)
    couplings: int = number(2, 1, 64)

    @relation("groups", "scales")
    def _halves(self) -> str | None:
        return self._halved("scales")

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = realnvp(
            self._conditioner(context_net),
            groups=self.groups,
            scales=self.scales,
            couplings=self.couplings,
        )
        return context_net, flow

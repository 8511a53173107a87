"""SqueezeWave: WaveGlow with more samples per step and cheaper convolutions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from waveflow.audio.fields import number
from waveflow.audio.mel import MelConfig
from waveflow.bijections import Bijection
from waveflow.models.base import MOST_FLOWS, MOST_LAYERS, WIDEST, Conditioner, EncodedConfig
from waveflow.models.waveglow import leave_channels, waveglow
from waveflow.nets import SeparableWaveNet


def squeezewave(
    conditioner: Conditioner,
    *,
    groups: int,
    flows: int,
    early_every: int,
    early_size: int,
) -> Bijection:
    """Zhai et al., *SqueezeWave* (https://arxiv.org/abs/2001.05685), section 3.

    WaveGlow's flows, a 1x1 convolution and an affine coupling each, with early outputs between
    them. Compared with WaveGlow, a step has many more samples, so there are fewer steps, and the
    couplings have separable convolutions. (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.SeparableWaveNet`.
        groups: samples per step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.

    Raises:
        ValueError: the early outputs leave fewer than 2 channels.
    """
    return waveglow(
        conditioner, groups=groups, flows=flows, early_every=early_every, early_size=early_size
    )


@dataclass(frozen=True)
class SqueezeWaveConfig(EncodedConfig):
    """The config of :func:`waveflow.models.squeezewave`, by default with the sizes of SW-128S.

    No layer is dilated.

    Attributes:
        groups: samples per step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
    """

    name: ClassVar[str] = "squeezewave"
    groups: int = number(128, 2, WIDEST)
    channels: int = number(128, 1, WIDEST)
    layers: int = number(8, 1, MOST_LAYERS)
    context_channels: int = number(80, 1, WIDEST)
    flows: int = number(12, 1, MOST_FLOWS)
    early_every: int = number(2, 1, MOST_FLOWS)
    early_size: int = number(16, 1, WIDEST)

    _channels_are_left = leave_channels

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = squeezewave(
            self._conditioner(context_net, SeparableWaveNet),
            groups=self.groups,
            flows=self.flows,
            early_every=self.early_every,
            early_size=self.early_size,
        )
        return context_net, flow

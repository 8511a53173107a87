"""WaveGlow, with the exact structure of the public model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from waveflow.audio.fields import number, relation
from waveflow.audio.mel import MelConfig
from waveflow.bijections import (
    Affine,
    Bijection,
    Chain,
    Channels,
    Coupling,
    EarlyOutput,
    InvertibleConv1x1,
    Squeeze,
)
from waveflow.models.base import (
    MOST_FLOWS,
    MOST_LAYERS,
    WIDEST,
    Conditioner,
    ModelConfig,
    conditioner_of,
)
from waveflow.nets import TransposedUpsampler, WaveNet


def waveglow(
    conditioner: Conditioner,
    *,
    groups: int,
    flows: int,
    early_every: int,
    early_size: int,
    swap_odd: bool = False,
) -> Bijection:
    """Prenger et al., *WaveGlow* (https://arxiv.org/abs/1811.00002), figure 1.

    Every flow is a 1x1 convolution, then an affine coupling of the second half of the channels;
    before each ``early_every``-th flow except the first, ``early_size`` channels become outputs.
    (batch, time) -> (batch, groups, time / groups).

    Args:
        conditioner: makes the network of a coupling, given the numbers of its input and output
            channels, such as a :class:`waveflow.nets.WaveNet`.
        groups: samples per step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
        swap_odd: whether every second flow, from the second on, moves the first half of the
            channels, as in the public project's ``glow_old.py``.

    Raises:
        ValueError: the early outputs leave fewer than 2 channels.
    """
    left = groups - early_size * ((flows - 1) // early_every)
    if left < 2:
        raise ValueError(f"expected at least 2 channels after the early outputs; got {left}")

    def flow(index: int, size: int) -> Bijection:
        partition = Channels(swap=swap_odd and index % 2 == 1)
        coupling = Coupling.of(partition, size, conditioner, Affine())
        return Chain(InvertibleConv1x1(size), coupling)

    def flows_from(index: int, size: int) -> Bijection:
        stop = min(index + early_every, flows)
        steps = [flow(i, size) for i in range(index, stop)]
        if stop < flows:
            steps.append(EarlyOutput(early_size, flows_from(stop, size - early_size)))
        return Chain(*steps)

    return Chain(Squeeze(groups), flows_from(0, groups))


@relation("groups", "flows", "early_every", "early_size")
def leave_channels(config: Any) -> str | None:
    """The fault if early outputs leave too few channels; None if they leave enough."""
    outputs = (config.flows - 1) // config.early_every
    left = config.groups - config.early_size * outputs
    if left >= 2:
        return None
    return (
        f"expected model.groups to leave at least 2 channels after {outputs} early outputs of "
        f"model.early_size {config.early_size}, one every model.early_every "
        f"{config.early_every} of model.flows {config.flows}; got {config.groups}"
    )


@dataclass(frozen=True)
class WaveGlowConfig(ModelConfig):
    """The config of :func:`waveflow.models.waveglow`, by default with the public model's sizes.

    Attributes:
        groups: samples per step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
        channels: hidden channels of a coupling's WaveNet.
        layers: gated layers of a coupling's WaveNet.
        kernel_size: kernel of a coupling's WaveNet, in steps.
        upsampler_kernel_size: samples that one mel frame affects.
        causal: whether the couplings' networks see no later steps; the upsampler never sees a
            later frame.
        swap_odd: whether every second flow moves the first half of the channels, as in the
            public project's ``glow_old.py``.
    """

    name: ClassVar[str] = "waveglow"
    groups: int = number(8, 2, WIDEST)
    flows: int = number(12, 1, MOST_FLOWS)
    early_every: int = number(4, 1, MOST_FLOWS)
    early_size: int = number(2, 1, WIDEST)
    channels: int = number(256, 1, WIDEST)
    layers: int = number(8, 1, MOST_LAYERS)
    kernel_size: int = number(3, 1, WIDEST, parity=1)
    upsampler_kernel_size: int = number(1024, 1, WIDEST)
    causal: bool = False
    swap_odd: bool = False

    _channels_are_left = leave_channels

    def misfits(self, mel: MelConfig) -> Iterator[str]:
        yield from super().misfits(mel)
        if self.upsampler_kernel_size < mel.hop_length:
            yield (
                f"expected model.upsampler_kernel_size of at least mel.hop_length "
                f"{mel.hop_length}; got {self.upsampler_kernel_size}"
            )

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        upsampler = TransposedUpsampler(
            mel.n_mels,
            hop_length=mel.hop_length,
            groups=self.groups,
            kernel_size=self.upsampler_kernel_size,
        )
        flow = waveglow(
            conditioner_of(WaveNet, self, upsampler.out_channels),
            groups=self.groups,
            flows=self.flows,
            early_every=self.early_every,
            early_size=self.early_size,
            swap_odd=self.swap_odd,
        )
        return upsampler, flow

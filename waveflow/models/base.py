"""The base classes of the models' configs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from torch import nn

from waveflow.audio.fields import Section, number
from waveflow.audio.mel import MelConfig
from waveflow.bijections import Bijection
from waveflow.nets import MelEncoder, SeparableWaveNet, WaveNet

Conditioner: TypeAlias = Callable[[int, int], nn.Module]
"""A function from the numbers of input and output channels to the network of a coupling."""

WIDEST = 2**14
"""Largest number of channels of a layer, and of taps of a kernel."""
MOST_FLOWS = 1024
"""Largest number of steps of a flow."""
MOST_LAYERS = 20
"""Largest number of gated layers of a WaveNet; the dilation doubles from layer to layer."""


@dataclass(frozen=True)
class ModelConfig(Section):
    """The config of a model: a context network and a bijection on audio.

    A new model is one file in ``waveflow/models`` with its builder and a subclass of this class,
    one line in :data:`waveflow.config.MODELS`, and one YAML.

    Attributes:
        groups: channels that audio is squeezed into, and channels of the latent.
    """

    section: ClassVar[str] = "model"
    _least: ClassVar[str] = "to be at least {}"
    _divide_hop: ClassVar[tuple[str, ...]] = ("groups",)
    name: ClassVar[str]
    groups: int = number(8, 2, WIDEST)

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        """The context network (mel -> context) and the bijection (audio <-> latent)."""
        raise NotImplementedError

    def misfits(self, mel: MelConfig) -> Iterator[str]:
        """The reasons why this model cannot read ``mel``; none if it can."""
        for name in self._divide_hop:
            if mel.hop_length % getattr(self, name):
                yield (
                    f"expected model.{name} to divide mel.hop_length {mel.hop_length}; "
                    f"got {getattr(self, name)}"
                )

    def longest_step(self) -> int:
        """Samples of the longest step of the model."""
        return max(getattr(self, name) for name in self._divide_hop)

    def grows_from(self, smaller: ModelConfig) -> bool:
        """Whether weights of ``smaller`` fit this model and give the same density at first."""
        return self == smaller


@dataclass(frozen=True)
class EncodedConfig(ModelConfig):
    """The fields of the models that read the mel through a :class:`~waveflow.nets.MelEncoder`.

    Attributes:
        groups: channels that audio is squeezed into.
        channels: hidden channels of a coupling's WaveNet.
        layers: gated layers of a coupling's WaveNet; layer i is dilated by 2 ** i.
        kernel_size: kernel of a coupling's WaveNet, in steps.
        context_channels: channels of the context.
        context_layers: residual blocks of the mel encoder.
        context_kernel_size: kernel of the mel encoder's convolutions, in frames.
        causal: whether the couplings' networks see no later steps, and the mel encoder no later
            frames; otherwise they see as many after as before.
    """

    groups: int = number(64, 2, WIDEST)
    channels: int = number(112, 1, WIDEST)
    layers: int = number(4, 1, MOST_LAYERS)
    kernel_size: int = number(3, 1, WIDEST, parity=1)
    context_channels: int = number(192, 1, WIDEST)
    context_layers: int = number(2, 0, 64)
    context_kernel_size: int = number(3, 1, WIDEST, parity=1)
    causal: bool = False

    def _halved(self, times: str) -> str | None:
        """The fault if the channels cannot be halved that many times; None if they can."""
        count = getattr(self, times)
        if self.groups % 2**count == 0:
            return None
        return (
            f"expected model.groups to be a multiple of 2 ** model.{times}, 2 ** {count}; "
            f"got {self.groups}"
        )

    def _context_net(self, mel: MelConfig, *, with_mel: bool = False) -> MelEncoder:
        return MelEncoder(
            mel.n_mels,
            channels=self.context_channels,
            layers=self.context_layers,
            kernel_size=self.context_kernel_size,
            causal=self.causal,
            with_mel=with_mel,
        )

    def _conditioner(
        self, context_net: MelEncoder, network: type[WaveNet | SeparableWaveNet] = WaveNet
    ) -> Conditioner:
        return conditioner_of(network, self, context_net.out_channels)


def conditioner_of(
    network: type[WaveNet | SeparableWaveNet], config: Any, context_channels: int
) -> Conditioner:
    """A function that makes the networks of a model's couplings.

    Args:
        network: class of the networks.
        config: config of the model, with ``channels``, ``layers``, ``kernel_size`` and ``causal``
            of the networks.
        context_channels: channels of the context.
    """
    return functools.partial(
        network,
        context_channels=context_channels,
        channels=config.channels,
        layers=config.layers,
        kernel_size=config.kernel_size,
        causal=config.causal,
    )

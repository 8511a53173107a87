"""What the config of every model has, and what most of them share."""

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
"""What makes the network of a coupling, given the numbers of its input and output channels."""

WIDEST = 2**14
"""Channels of a layer, or taps of a kernel, at most."""
MOST_FLOWS = 1024
"""Steps of a flow, at most."""
MOST_LAYERS = 20
"""Gated layers of a WaveNet, each dilated twice as far as the one before, at most."""


@dataclass(frozen=True)
class ModelConfig(Section):
    """What every model is made of: a context network and a bijection on audio.

    A new model is one file in ``waveflow/models`` with its builder and a subclass of this class,
    one line in :data:`waveflow.config.MODELS`, and one YAML.

    Attributes:
        groups: channels that audio is squeezed into, which are those of the latent.
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
        """Why this model cannot read that mel, or nothing."""
        for name in self._divide_hop:
            if mel.hop_length % getattr(self, name):
                yield (
                    f"expected model.{name} to divide mel.hop_length {mel.hop_length}; "
                    f"got {getattr(self, name)}"
                )

    def longest_step(self) -> int:
        """Samples of the longest step that the model has."""
        return max(getattr(self, name) for name in self._divide_hop)

    def grows_from(self, smaller: ModelConfig) -> bool:
        """Whether weights of ``smaller`` fit in here and give the same density at first."""
        return self == smaller


@dataclass(frozen=True)
class EncodedConfig(ModelConfig):
    """The fields of the models that read the mel through a :class:`~waveflow.nets.MelEncoder`.

    Attributes:
        groups: channels that audio is squeezed into.
        channels: hidden channels of a coupling's WaveNet.
        layers: its gated layers; layer i is dilated by 2 ** i.
        kernel_size: its kernel.
        context_channels: channels of the context.
        context_layers: residual blocks of the mel encoder.
        context_kernel_size: frames that one of its convolutions sees.
        causal: whether the couplings' networks see no step, and the mel encoder no frame, after
            the one they are asked about; by default they see as many after as before.
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
        """What is wrong where the channels are halved so many times."""
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

    def _conditioner(self, context_net: MelEncoder) -> Conditioner:
        return conditioner_of(WaveNet, self, context_net.out_channels)


def conditioner_of(
    network: type[WaveNet | SeparableWaveNet], config: Any, context_channels: int
) -> Conditioner:
    """What makes the networks of a model's couplings.

    Args:
        network: of what kind they are.
        config: of the model; its ``channels``, ``layers``, ``kernel_size`` and ``causal`` are
            theirs.
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

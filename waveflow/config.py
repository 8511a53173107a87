"""Configurations: frozen dataclasses, read from YAML and written back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

from torch import nn

from waveflow import models
from waveflow.audio.mel import MelConfig, level_weights
from waveflow.bijections import Bijection, LongTermPredictor
from waveflow.bijections.long_term import KERNEL_SIZE, initial_parameters, pitch_lags
from waveflow.checks import plain_numbers
from waveflow.nets import BlockNetwork, MelEncoder, TransposedUpsampler
from waveflow.nets.mel_encoder import STANDARD
from waveflow.yaml_file import shortened


@dataclass(frozen=True)
class ModelConfig:
    """What every model is made of: a context network and a bijection on audio.

    A new model is one builder in ``waveflow/models``, one subclass of this class, one line in
    :data:`MODELS`, and one YAML.

    Attributes:
        groups: channels that audio is squeezed into, which are those of the latent.
    """

    name: ClassVar[str]
    groups: int = 8

    def __post_init__(self) -> None:
        plain_numbers(self, f"{self.name} ")

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        """The context network (mel -> context) and the bijection (audio <-> latent)."""
        raise NotImplementedError

    def grows_from(self, smaller: ModelConfig) -> bool:
        """Whether weights of ``smaller`` fit in here and give the same density at first."""
        return self == smaller


@dataclass(frozen=True)
class _EncodedConfig(ModelConfig):
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

    groups: int = 64
    channels: int = 112
    layers: int = 4
    kernel_size: int = 3
    context_channels: int = 192
    context_layers: int = 2
    context_kernel_size: int = 3
    causal: bool = False

    def _context_net(self, mel: MelConfig, *, slowest: int, with_mel: bool = False) -> MelEncoder:
        if mel.hop_length % slowest:
            raise ValueError(
                f"{self.name}: expected groups to divide hop_length {mel.hop_length}; got {slowest}"
            )
        return MelEncoder(
            mel.n_mels,
            channels=self.context_channels,
            layers=self.context_layers,
            kernel_size=self.context_kernel_size,
            causal=self.causal,
            with_mel=with_mel,
        )

    def _sizes(self) -> dict[str, int]:
        """The arguments that every builder of these models takes."""
        return {
            "groups": self.groups,
            "context_channels": self.context_channels,
            "channels": self.channels,
            "layers": self.layers,
            "kernel_size": self.kernel_size,
        }


@dataclass(frozen=True)
class NiceConfig(_EncodedConfig):
    """:func:`waveflow.models.nice`. ``flows``: number of couplings."""

    name: ClassVar[str] = "nice"
    flows: int = 6

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, slowest=self.groups)
        return context_net, models.nice(flows=self.flows, causal=self.causal, **self._sizes())


@dataclass(frozen=True)
class RealNVPConfig(_EncodedConfig):
    """:func:`waveflow.models.realnvp`. ``couplings``: of either kind, at each of ``scales``."""

    name: ClassVar[str] = "realnvp"
    scales: int = 2
    couplings: int = 2

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, slowest=self.groups)
        flow = models.realnvp(
            scales=self.scales, couplings=self.couplings, causal=self.causal, **self._sizes()
        )
        return context_net, flow


@dataclass(frozen=True)
class GlowConfig(_EncodedConfig):
    """:func:`waveflow.models.glow`. ``flows``: steps at each of ``levels``."""

    name: ClassVar[str] = "glow"
    levels: int = 2
    flows: int = 3

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, slowest=self.groups)
        flow = models.glow(
            levels=self.levels, flows=self.flows, causal=self.causal, **self._sizes()
        )
        return context_net, flow


@dataclass(frozen=True)
class _WhitenedConfig(_EncodedConfig):
    """The fields of the models that whiten the envelope and then take Glow steps.

    Attributes:
        whitening_groups: bands of the whitening; a divisor of the hop.
        flows: number of Glow steps.
    """

    whitening_groups: int = 256
    flows: int = 6

    def grows_from(self, smaller: ModelConfig) -> bool:
        """New steps come last and start as rotations of a standard normal latent, which are
        standard normal again.
        """
        if not isinstance(smaller, _WhitenedConfig) or smaller.flows > self.flows:
            return False
        return self == replace(smaller, flows=self.flows)


@dataclass(frozen=True)
class LapflowConfig(_WhitenedConfig):
    """:func:`waveflow.models.lapflow`."""

    name: ClassVar[str] = "lapflow"

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, slowest=max(self.groups, self.whitening_groups))
        flow = models.lapflow(
            whitening_groups=self.whitening_groups,
            flows=self.flows,
            causal=self.causal,
            **self._sizes(),
        )
        return context_net, flow


@dataclass(frozen=True)
class SourceFilterConfig(_WhitenedConfig):
    """:func:`waveflow.models.source_filter`.

    Attributes:
        flows: number of Glow steps.
        long_term: whether there is a long-term predictor.
        block: samples over which its coefficients are constant; a divisor of the hop.
        lowest_pitch: in Hz; decides its longest lag.
        highest_pitch: in Hz; decides its shortest lag.
        predictor_channels: hidden channels of its network.
    """

    name: ClassVar[str] = "source_filter"
    flows: int = 4
    long_term: bool = True
    block: int = 128
    lowest_pitch: float = 60.0
    highest_pitch: float = 420.0
    predictor_channels: int = 192

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.lowest_pitch < self.highest_pitch < math.inf:
            raise ValueError(
                f"{self.name}: expected 0 < lowest_pitch < highest_pitch; "
                f"got {self.lowest_pitch} and {self.highest_pitch}"
            )

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        slowest = max(self.groups, self.whitening_groups)
        context_net = self._context_net(mel, slowest=slowest, with_mel=True)
        sizes = {**self._sizes(), "context_channels": context_net.out_channels}
        flow = models.source_filter(
            envelope=STANDARD * level_weights(mel, self.whitening_groups),
            long_term=self._predictor(mel, context_net.out_channels) if self.long_term else None,
            flows=self.flows,
            causal=self.causal,
            **sizes,
        )
        return context_net, flow

    def _predictor(self, mel: MelConfig, context_channels: int) -> LongTermPredictor:
        if self.block < 1 or mel.hop_length % self.block:
            raise ValueError(
                f"{self.name}: expected block to divide hop_length {mel.hop_length}; "
                f"got {self.block}"
            )
        lags = pitch_lags(mel.sample_rate, self.lowest_pitch, self.highest_pitch)
        network = BlockNetwork(
            context_channels,
            bias=initial_parameters(lags, KERNEL_SIZE),
            channels=self.predictor_channels,
            blocks=mel.hop_length // self.block,
        )
        return LongTermPredictor(network, lags=lags, block=self.block)


@dataclass(frozen=True)
class WaveGlowConfig(ModelConfig):
    """:func:`waveflow.models.waveglow`, with the public model's sizes.

    Attributes:
        groups: samples a step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
        channels: hidden channels of a coupling's WaveNet.
        layers: its gated layers.
        kernel_size: its kernel.
        upsampler_kernel_size: samples that one mel frame reaches.
        causal: whether the couplings' networks see no step after the one they are asked about;
            the upsampler sees no later frame in any case.
        swap_odd: whether every second flow moves the first half of the channels, as in the
            public project's ``glow_old.py``.
    """

    name: ClassVar[str] = "waveglow"
    groups: int = 8
    flows: int = 12
    early_every: int = 4
    early_size: int = 2
    channels: int = 256
    layers: int = 8
    kernel_size: int = 3
    upsampler_kernel_size: int = 1024
    causal: bool = False
    swap_odd: bool = False

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        upsampler = TransposedUpsampler(
            mel.n_mels,
            hop_length=mel.hop_length,
            groups=self.groups,
            kernel_size=self.upsampler_kernel_size,
        )
        flow = models.waveglow(
            groups=self.groups,
            flows=self.flows,
            early_every=self.early_every,
            early_size=self.early_size,
            context_channels=mel.n_mels * self.groups,
            channels=self.channels,
            layers=self.layers,
            kernel_size=self.kernel_size,
            causal=self.causal,
            swap_odd=self.swap_odd,
        )
        return upsampler, flow


@dataclass(frozen=True)
class SqueezeWaveConfig(_EncodedConfig):
    """:func:`waveflow.models.squeezewave`, by default with the sizes of the public SW-128S;
    no layer is dilated.

    Attributes:
        groups: samples a step.
        flows: number of flows.
        early_every: flows between early outputs.
        early_size: channels of an early output.
    """

    name: ClassVar[str] = "squeezewave"
    groups: int = 128
    channels: int = 128
    layers: int = 8
    context_channels: int = 80
    flows: int = 12
    early_every: int = 2
    early_size: int = 16

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, slowest=self.groups)
        flow = models.squeezewave(
            flows=self.flows,
            early_every=self.early_every,
            early_size=self.early_size,
            causal=self.causal,
            **self._sizes(),
        )
        return context_net, flow


MODELS: dict[str, type[ModelConfig]] = {
    config.name: config
    for config in (
        NiceConfig,
        RealNVPConfig,
        GlowConfig,
        WaveGlowConfig,
        SqueezeWaveConfig,
        LapflowConfig,
        SourceFilterConfig,
    )
}
"""The model configurations by name."""


MOST_ITERATIONS = 10_000
"""Iterations of mel consistency, at most."""


@dataclass(frozen=True)
class SynthesisConfig:
    """How sound is made of a mel, unless the caller says otherwise.

    Attributes:
        temperature: standard deviation of the latent noise.
        consistency: iterations of :class:`waveflow.audio.MelConsistency` on the flow's sample;
            none leaves it as it is.
        full_band: how many of the iterations, the first ones, move all bins; the others move bins
            below ``cutoff`` alone; by default all of them move all bins.
        cutoff: Hz above which the iterations that follow leave the sound as it is.
        sharpness: factor of the logits by which a long-term predictor weighs lags
            (``waveflow.bijections.long_term.sharpened``). Between two lags the model hedges,
            which blurs the upper harmonics; a factor above 1 decides. 1 is the model's own density.
    """

    temperature: float = 1.0
    consistency: int = 0
    full_band: int | None = None
    cutoff: float = 2200.0
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        plain_numbers(self)
        if not 0 <= self.temperature < math.inf:
            raise ValueError(f"expected a temperature of 0 or more; got {self.temperature}")
        for name, count in (("consistency", self.consistency), ("full_band", self.full_band)):
            if count is None:
                continue
            if count < 0:
                raise ValueError(f"expected {name} of 0 or more; got {count}")
            if count > MOST_ITERATIONS:
                raise ValueError(f"expected {name} of {MOST_ITERATIONS} at most; got {count}")
        if not 0 < self.cutoff < math.inf:
            raise ValueError(f"expected a finite cutoff > 0; got {self.cutoff}")
        if not 0 < self.sharpness < math.inf:
            raise ValueError(f"expected a finite sharpness > 0; got {self.sharpness}")

    @property
    def schedule(self) -> tuple[int, int]:
        """How many iterations move all bins, and how many after them the low band alone."""
        full = self.consistency
        if self.full_band is not None:
            full = min(full, self.full_band)
        return full, self.consistency - full

    def override(
        self, *, temperature: float | None = None, consistency: int | None = None
    ) -> SynthesisConfig:
        """The same with every value that is given."""
        return replace(
            self,
            temperature=self.temperature if temperature is None else temperature,
            consistency=self.consistency if consistency is None else consistency,
        )


@dataclass(frozen=True)
class VocoderConfig:
    """A vocoder in a page of YAML: which model, which mel it reads, and how it makes sound."""

    model: ModelConfig
    mel: MelConfig = field(default_factory=MelConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_dict` takes them."""
        return {
            "model": {"name": self.model.name, **asdict(self.model)},
            "mel": asdict(self.mel),
            "synthesis": asdict(self.synthesis),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VocoderConfig:
        """Read plain values.

        Raises:
            ValueError: an unknown key, a missing model, a value of the wrong type.
        """
        sections = {"model": ModelConfig, "mel": MelConfig, "synthesis": SynthesisConfig}
        return cls(**parse(values, sections))


def parse(values: Mapping[str, Any], sections: Mapping[str, type]) -> dict[str, Any]:
    """Turn plain values into one dataclass a section; a section left out gets its defaults.

    The section ``model`` names its class (``name: lapflow``); the section ``mel`` may be the name
    of a convention (``mel: hifigan-22k``).

    Raises:
        ValueError: an unknown section or key, or a value of the wrong type; names it.
    """
    from jsonargparse import ArgumentParser

    if not isinstance(values, Mapping):
        raise ValueError(f"config: expected keys and values; got {type(values).__name__}")
    values = dict(values)
    sections = dict(sections)
    _check_keys(values)
    for section in values:
        if section not in sections:
            raise ValueError(f"config: expected sections {', '.join(sections)}; got {section!r}")
    if isinstance(values.get("mel"), str):
        values["mel"] = asdict(MelConfig.named(values["mel"]))
    values = {section: value for section, value in values.items() if value is not None}
    for section, value in values.items():
        if not isinstance(value, Mapping):
            raise ValueError(f"config: expected keys and values in {section}; got {value!r:.100}")
    if "model" in sections:
        values["model"], sections["model"] = _choose_model(values.get("model"))
    for section, value in values.items():
        _require_given(section, value, sections[section])
    parser = ArgumentParser(exit_on_error=False)
    for section, cls in sections.items():
        parser.add_class_arguments(cls, section)
    try:
        instances = parser.instantiate(parser.parse_object(values))
    except ValueError:
        raise
    except Exception as error:  # ArgumentError, and what it makes of values of strange types
        raise ValueError(f"config: {shortened(error)}") from None
    return {section: instances[section] for section in sections}


def _choose_model(values: Any) -> tuple[dict[str, Any], type[ModelConfig]]:
    """The values of the section ``model`` without its name, and the class of that name."""
    values = dict(values) if isinstance(values, Mapping) else {}
    name = values.pop("name", None)
    if not isinstance(name, str) or name not in MODELS:
        raise ValueError(f"config: expected model.name among {', '.join(MODELS)}; got {name!r}")
    return values, MODELS[name]


def _require_given(section: str, values: Mapping[str, Any], cls: type) -> None:
    """Raise ValueError for an empty field that has a value by default."""
    for one in fields(cls):
        if one.name in values and values[one.name] is None and one.default is not None:
            raise ValueError(f"config: expected a value of {section}.{one.name}; got none")


def _check_keys(values: Any) -> None:
    """Raise ValueError for a key that is no text, or a number that no field can have."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if not isinstance(key, str):
                raise ValueError(f"config: expected keys that are texts; got {key!r}")
            _check_keys(value)
    elif isinstance(values, int) and not -(2**63) <= values < 2**63:
        raise ValueError("config: expected whole numbers of at most 64 bits; got a larger one")

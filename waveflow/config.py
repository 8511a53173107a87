"""Configurations: frozen dataclasses, read from YAML and written back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, TypeAlias

from torch import nn

from waveflow import models
from waveflow.audio.fields import Section, from_plain, number, plain_fields, relation
from waveflow.audio.mel import MelConfig, level_weights
from waveflow.bijections import Bijection, LongTermPredictor
from waveflow.bijections.long_term import KERNEL_SIZE, initial_parameters, pitch_lags
from waveflow.nets import (
    BlockNetwork,
    MelEncoder,
    SeparableWaveNet,
    TransposedUpsampler,
    WaveNet,
)
from waveflow.nets.mel_encoder import STANDARD

Conditioner: TypeAlias = Callable[[int, int], nn.Module]
"""What makes the network of a coupling, given the numbers of its input and output channels."""

WIDEST = 2**14
"""Channels of a layer, or taps of a kernel, at most."""
MOST_FLOWS = 1024
"""Steps of a flow, at most."""
MOST_LAYERS = 20
"""Gated layers of a WaveNet, each dilated twice as far as the one before, at most."""
MOST_ITERATIONS = 10_000
"""Iterations of mel consistency, at most."""


@dataclass(frozen=True)
class ModelConfig(Section):
    """What every model is made of: a context network and a bijection on audio.

    A new model is one builder in ``waveflow/models``, one subclass of this class, one line in
    :data:`MODELS`, and one YAML.

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
        return _conditioner(WaveNet, self, context_net.out_channels)


@dataclass(frozen=True)
class NiceConfig(_EncodedConfig):
    """:func:`waveflow.models.nice`. ``flows``: number of couplings."""

    name: ClassVar[str] = "nice"
    flows: int = number(6, 0, MOST_FLOWS)

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        conditioner = self._conditioner(context_net)
        return context_net, models.nice(conditioner, groups=self.groups, flows=self.flows)


@dataclass(frozen=True)
class RealNVPConfig(_EncodedConfig):
    """:func:`waveflow.models.realnvp`. ``couplings``: of either kind, at each of ``scales``."""

    name: ClassVar[str] = "realnvp"
    scales: int = number(2, 1, 64)
    couplings: int = number(2, 1, 64)

    @relation("groups", "scales")
    def _halves(self) -> str | None:
        return self._halved("scales")

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = models.realnvp(
            self._conditioner(context_net),
            groups=self.groups,
            scales=self.scales,
            couplings=self.couplings,
        )
        return context_net, flow


@dataclass(frozen=True)
class GlowConfig(_EncodedConfig):
    """:func:`waveflow.models.glow`. ``flows``: steps at each of ``levels``."""

    name: ClassVar[str] = "glow"
    levels: int = number(2, 1, 64)
    flows: int = number(3, 1, MOST_FLOWS)

    @relation("groups", "levels")
    def _halves(self) -> str | None:
        return self._halved("levels")

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = models.glow(
            self._conditioner(context_net),
            groups=self.groups,
            levels=self.levels,
            flows=self.flows,
        )
        return context_net, flow


@dataclass(frozen=True)
class _WhitenedConfig(_EncodedConfig):
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
        context_net = self._context_net(mel)
        flow = models.lapflow(
            self._conditioner(context_net),
            whitening_groups=self.whitening_groups,
            groups=self.groups,
            flows=self.flows,
            context_channels=context_net.out_channels,
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
    flows: int = number(4, 0, MOST_FLOWS)
    long_term: bool = True
    block: int = number(128, 1, WIDEST)
    lowest_pitch: float = number(60.0, 1, 100_000)
    highest_pitch: float = number(420.0, 1, 100_000)
    predictor_channels: int = number(192, 1, WIDEST)

    @relation("lowest_pitch", "highest_pitch")
    def _pitches_ascend(self) -> str | None:
        if self.lowest_pitch < self.highest_pitch:
            return None
        return (
            "expected model.lowest_pitch < model.highest_pitch; "
            f"got {self.lowest_pitch} and {self.highest_pitch}"
        )

    def misfits(self, mel: MelConfig) -> Iterator[str]:
        yield from super().misfits(mel)
        if not self.long_term:
            return
        if mel.hop_length % self.block:
            yield (
                f"expected model.block to divide mel.hop_length {mel.hop_length}; got {self.block}"
            )
        lags = pitch_lags(mel.sample_rate, self.lowest_pitch, self.highest_pitch)
        reach = KERNEL_SIZE // 2
        if len(lags) < 2 or lags[0] <= reach:
            yield (
                f"expected model.highest_pitch, {self.highest_pitch} Hz, and model.lowest_pitch, "
                f"{self.lowest_pitch} Hz, to be two lags or more at mel.sample_rate "
                f"{mel.sample_rate}, each longer than the {reach} samples that the "
                f"predictor's kernel reaches; got {lags}"
            )

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel, with_mel=True)
        flow = models.source_filter(
            self._conditioner(context_net),
            envelope=STANDARD * level_weights(mel, self.whitening_groups),
            long_term=self._predictor(mel, context_net.out_channels) if self.long_term else None,
            groups=self.groups,
            flows=self.flows,
            context_channels=context_net.out_channels,
        )
        return context_net, flow

    def _predictor(self, mel: MelConfig, context_channels: int) -> LongTermPredictor:
        lags = pitch_lags(mel.sample_rate, self.lowest_pitch, self.highest_pitch)
        network = BlockNetwork(
            context_channels,
            bias=initial_parameters(lags, KERNEL_SIZE),
            channels=self.predictor_channels,
            blocks=mel.hop_length // self.block,
        )
        return LongTermPredictor(network, lags=lags, block=self.block)


@relation("groups", "flows", "early_every", "early_size")
def _early_outputs(config: WaveGlowConfig | SqueezeWaveConfig) -> str | None:
    """What is wrong where channels leave between flows."""
    outputs = (config.flows - 1) // config.early_every
    left = config.groups - config.early_size * outputs
    if left >= 2:
        return None
    return (
        f"expected model.groups to leave 2 channels or more behind {outputs} early outputs of "
        f"model.early_size {config.early_size}, one every model.early_every "
        f"{config.early_every} of model.flows {config.flows}; got {config.groups}"
    )


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

    _channels_are_left = _early_outputs

    def misfits(self, mel: MelConfig) -> Iterator[str]:
        yield from super().misfits(mel)
        if self.upsampler_kernel_size < mel.hop_length:
            yield (
                f"expected model.upsampler_kernel_size of mel.hop_length {mel.hop_length} or more; "
                f"got {self.upsampler_kernel_size}"
            )

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        upsampler = TransposedUpsampler(
            mel.n_mels,
            hop_length=mel.hop_length,
            groups=self.groups,
            kernel_size=self.upsampler_kernel_size,
        )
        flow = models.waveglow(
            _conditioner(WaveNet, self, upsampler.out_channels),
            groups=self.groups,
            flows=self.flows,
            early_every=self.early_every,
            early_size=self.early_size,
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
    groups: int = number(128, 2, WIDEST)
    channels: int = number(128, 1, WIDEST)
    layers: int = number(8, 1, MOST_LAYERS)
    context_channels: int = number(80, 1, WIDEST)
    flows: int = number(12, 1, MOST_FLOWS)
    early_every: int = number(2, 1, MOST_FLOWS)
    early_size: int = number(16, 1, WIDEST)

    _channels_are_left = _early_outputs

    def build(self, mel: MelConfig) -> tuple[nn.Module, Bijection]:
        context_net = self._context_net(mel)
        flow = models.squeezewave(
            _conditioner(SeparableWaveNet, self, context_net.out_channels),
            groups=self.groups,
            flows=self.flows,
            early_every=self.early_every,
            early_size=self.early_size,
        )
        return context_net, flow


def _conditioner(
    network: type[WaveNet | SeparableWaveNet],
    config: _EncodedConfig | WaveGlowConfig,
    context_channels: int,
) -> Conditioner:
    """What makes the networks of a model's couplings, all of the sizes in its config."""
    return functools.partial(
        network,
        context_channels=context_channels,
        channels=config.channels,
        layers=config.layers,
        kernel_size=config.kernel_size,
        causal=config.causal,
    )


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


@dataclass(frozen=True)
class SynthesisConfig(Section):
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

    section: ClassVar[str] = "synthesis"
    temperature: float = number(1.0, 0, 1000)
    consistency: int = number(0, 0, MOST_ITERATIONS)
    full_band: int | None = number(None, 0, MOST_ITERATIONS)
    cutoff: float = number(2200.0, 0, 10_000_000, above=True)
    sharpness: float = number(1.0, 0, 1000, above=True)

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

    def __post_init__(self) -> None:
        require_fit(vars(self), FITS)

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
            ValueError: as ``parse`` raises it.
        """
        sections: dict[str, type[Section]]
        sections = {"model": ModelConfig, "mel": MelConfig, "synthesis": SynthesisConfig}
        return cls(**parse(values, sections, FITS))


Fits = Mapping[tuple[str, ...], Callable[..., Iterator[str]]]
"""Functions of some sections, by their names, that say why these do not fit one another."""

FITS: Fits = {("model", "mel"): lambda model, mel: model.misfits(mel)}
"""Those of a vocoder."""


def require_fit(sections: Mapping[str, Any], fits: Fits, faults: Iterable[str] = ()) -> None:
    """Raise ValueError if sections do not fit one another.

    Args:
        sections: those that are there, by name; of others nothing is asked.
        fits: what is asked.
        faults: what is known to be wrong already, and is told as well.
    """
    told = list(faults)
    for names, misfits in fits.items():
        if sections.keys() >= set(names):
            told += misfits(*(sections[name] for name in names))
    if told:
        raise ValueError("; ".join(told))


def parse(
    values: Mapping[str, Any], sections: Mapping[str, type[Section]], fits: Fits | None = None
) -> dict[str, Any]:
    """Turn plain values into one dataclass a section; a section left out gets its defaults.

    The section ``model`` names its class (``name: lapflow``); the section ``mel`` may be the name
    of a convention (``mel: hifigan-22k``).

    Raises:
        ValueError: an unknown section or key, a value of the wrong type or out of its range, or
            sections that do not fit; names all of them.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"config: expected keys and values; got {type(values).__name__}")
    _check_keys(values)
    faults = [
        f"expected sections {', '.join(sections)}; got {section!r:.100}"
        for section in values
        if section not in sections
    ]
    found: dict[str, Any] = {}
    for section, cls in sections.items():
        try:
            found[section] = _parse_section(section, values.get(section), cls)
        except ValueError as error:
            faults.append(str(error))
    require_fit(found, fits or {}, faults)
    return found


def _parse_section(section: str, values: Any, cls: type[Section]) -> Section:
    if section == "mel":
        return MelConfig.from_plain(values)
    if section == "model":
        values = plain_fields(cls, values)
        name = values.pop("name", None)
        if not isinstance(name, str) or name not in MODELS:
            raise ValueError(f"expected model.name among {', '.join(MODELS)}; got {name!r:.100}")
        cls = MODELS[name]
    return from_plain(cls, values)


def _check_keys(values: Any, path: str = "config") -> None:
    """Raise ValueError for a key that is no text, or a number that no field can have."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if not isinstance(key, str):
                raise ValueError(f"config: expected keys that are texts; got {key!r}")
            _check_keys(value, key if path == "config" else f"{path}.{key}"[:100])
    elif isinstance(values, int) and not -(2**63) <= values < 2**63:
        raise ValueError(f"{path}: expected whole numbers of at most 64 bits; got a larger one")

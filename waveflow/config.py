"""Configurations: frozen dataclasses, read from YAML and written back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from waveflow.audio.fields import Section, from_plain, number, plain_fields
from waveflow.audio.mel import MelConfig
from waveflow.models.base import MOST_FLOWS, MOST_LAYERS, WIDEST, ModelConfig
from waveflow.models.base import Conditioner as Conditioner
from waveflow.models.glow import GlowConfig
from waveflow.models.lapflow import LapflowConfig
from waveflow.models.nice import NiceConfig
from waveflow.models.realnvp import RealNVPConfig
from waveflow.models.source_filter import SourceFilterConfig
from waveflow.models.squeezewave import SqueezeWaveConfig
from waveflow.models.waveglow import WaveGlowConfig

__all__ = [
    "FITS",
    "MODELS",
    "MOST_FLOWS",
    "MOST_ITERATIONS",
    "MOST_LAYERS",
    "WIDEST",
    "Fits",
    "GlowConfig",
    "LapflowConfig",
    "ModelConfig",
    "NiceConfig",
    "RealNVPConfig",
    "SourceFilterConfig",
    "SqueezeWaveConfig",
    "SynthesisConfig",
    "VocoderConfig",
    "WaveGlowConfig",
    "parse",
    "require_fit",
]

MOST_ITERATIONS = 10_000
"""Iterations of mel consistency, at most."""

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
    """The default settings of synthesis.

    Attributes:
        temperature: Standard deviation of the latent noise.
        consistency: Iterations of :class:`waveflow.audio.MelConsistency` on the flow's sample;
            0 leaves it as it is.
        full_band: Number of first iterations that change all bins; the others change only bins
            below ``cutoff``. By default all iterations change all bins.
        cutoff: Frequency in Hz above which the other iterations leave the sound as it is.
        sharpness: Factor of the logits by which a long-term predictor weights lags
            (``waveflow.bijections.long_term.sharpened``). A model that is uncertain about the lag
            averages several, which blurs the upper harmonics; a factor above 1 prefers the most
            likely. 1 is the model's own density.
    """

    section: ClassVar[str] = "synthesis"
    temperature: float = number(1.0, 0, 1000)
    consistency: int = number(0, 0, MOST_ITERATIONS)
    full_band: int | None = number(None, 0, MOST_ITERATIONS)
    cutoff: float = number(2200.0, 0, 10_000_000, above=True)
    sharpness: float = number(1.0, 0, 1000, above=True)

    @property
    def schedule(self) -> tuple[int, int]:
        """Number of iterations that change all bins, and of those after them that change the low
        band.
        """
        every = self.consistency
        full = every if self.full_band is None else min(every, self.full_band)
        return full, every - full

    def override(
        self, *, temperature: float | None = None, consistency: int | None = None
    ) -> SynthesisConfig:
        """A copy with the given values; None leaves a value as it is."""
        given = {"temperature": temperature, "consistency": consistency}
        changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
        return replace(self, **changes)


@dataclass(frozen=True)
class VocoderConfig:
    """The config of a vocoder, as in its YAML file.

    Attributes:
        model: The model and its sizes.
        mel: The mel convention.
        synthesis: The default settings of synthesis.
    """

    model: ModelConfig
    mel: MelConfig = field(default_factory=MelConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        require_fit(vars(self), FITS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which :meth:`from_dict` reads."""
        return {
            "model": {"name": self.model.name, **asdict(self.model)},
            "mel": asdict(self.mel),
            "synthesis": asdict(self.synthesis),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> VocoderConfig:
        """Read plain values.

        Raises:
            ValueError: as ``parse``.
        """
        sections: dict[str, type[Section]]
        sections = {"model": ModelConfig, "mel": MelConfig, "synthesis": SynthesisConfig}
        return cls(**parse(values, sections, FITS))


Fits = Mapping[tuple[str, ...], Callable[..., Iterator[str]]]
"""Functions that yield the reasons why sections do not fit, by the names of the sections."""

FITS: Fits = {("model", "mel"): lambda model, mel: model.misfits(mel)}
"""The conditions between the sections of a vocoder's config."""


def require_fit(sections: Mapping[str, Any], fits: Fits, faults: Iterable[str] = ()) -> None:
    """Raise ValueError if sections do not fit one another.

    Args:
        sections: The sections that exist, by name; conditions on others are skipped.
        fits: The conditions.
        faults: Messages of faults that are already known; the error includes them.
    """
    messages = list(faults)
    for names, misfits in fits.items():
        if sections.keys() >= set(names):
            messages += misfits(*(sections[name] for name in names))
    if messages:
        raise ValueError("; ".join(messages))


def parse(
    values: Mapping[str, Any], sections: Mapping[str, type[Section]], fits: Fits | None = None
) -> dict[str, Any]:
    """Read plain values into one dataclass for each section; a missing section has its defaults.

    The section ``model`` names its class (``name: lapflow``); the section ``mel`` may be the name
    of a convention (``mel: hifigan-22k``).

    Raises:
        ValueError: an unknown section or key, a value of the wrong type or out of its range, or
            sections that do not fit; the message lists all of them.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"config: expected keys and values; got {type(values).__name__}")
    _check_keys(values)
    faults = [
        f"expected sections {', '.join(sections)}; got {section!r:.100}"
        for section in values
        if section not in sections
    ]
    parsed: dict[str, Any] = {}
    for section, cls in sections.items():
        try:
            parsed[section] = _parse_section(section, values.get(section), cls)
        except ValueError as error:
            faults.append(str(error))
    require_fit(parsed, fits or {}, faults)
    return parsed


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
    """Raise ValueError for a key that is not a string, or a number that no field can have."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if not isinstance(key, str):
                raise ValueError(f"config: expected string keys; got {key!r}")
            _check_keys(value, key if path == "config" else f"{path}.{key}"[:100])
    elif isinstance(values, int) and not -(2**63) <= values < 2**63:
        raise ValueError(f"{path}: expected whole numbers of at most 64 bits; got a larger one")

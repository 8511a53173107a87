"""What a training run is made of, beside the vocoder itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from waveflow.audio.mel import MelConfig
from waveflow.config import ModelConfig, VocoderConfig, parse, read_yaml


@dataclass(frozen=True)
class DataConfig:
    """Which clips are held out, and how the others are cut.

    Attributes:
        validation_list: file of clip ids, one a line, for validation; beside the YAML unless
            absolute. Without it every twentieth clip is held out.
        exclude_list: file of clip ids that training and validation never see.
        segment_frames: mel frames of a training crop.
        batch_size: crops a step.
        workers: processes that prepare batches; 0 prepares them in the training process.
    """

    validation_list: str | None = None
    exclude_list: str | None = None
    segment_frames: int = 48
    batch_size: int = 8
    workers: int = 0


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, its schedule, and how long.

    Attributes:
        max_steps: length of the run; the learning rate reaches zero there, on a cosine.
        learning_rate: peak learning rate.
        warmup_steps: steps of linear rise to it.
        beta1: decay of Adam's first moment.
        beta2: decay of Adam's second moment.
        clip_norm: gradients of a larger norm are scaled down to it. The gradient of nats per
            sample has norms of 50 to 200 here; a much lower bound slows learning down.
        ema_decay: decay of the weight average that is validated and exported.
        precision: Lightning's name of the arithmetic: ``32-true`` or ``bf16-mixed``.
    """

    max_steps: int = 100_000
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    beta1: float = 0.9
    beta2: float = 0.99
    clip_norm: float = 50.0
    ema_decay: float = 0.999
    precision: Literal["32-true", "bf16-mixed"] = "32-true"


@dataclass(frozen=True)
class RunConfig:
    """When a run looks up from its work.

    Attributes:
        seed: of weights, order, crops and dequantisation.
        validate_every: steps between validations, checkpoints and exports.
        log_every: steps between scalars.
        audio_clips: validation clips vocoded for the log.
    """

    seed: int = 0
    validate_every: int = 1000
    log_every: int = 20
    audio_clips: int = 2


@dataclass(frozen=True)
class TrainingConfig:
    """A recipe: everything in its YAML."""

    model: ModelConfig
    mel: MelConfig = field(default_factory=MelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    run: RunConfig = field(default_factory=RunConfig)

    @property
    def vocoder(self) -> VocoderConfig:
        """The part that is saved with the weights."""
        return VocoderConfig(model=self.model, mel=self.mel)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Read plain values; ValueError names an unknown key."""
        sections = {
            "model": ModelConfig,
            "mel": MelConfig,
            "data": DataConfig,
            "optimizer": OptimizerConfig,
            "run": RunConfig,
        }
        return cls(**parse(values, sections))

    @classmethod
    def from_yaml(cls, path: str | Path) -> TrainingConfig:
        """Read a recipe; the lists it names are looked for beside it."""
        values = read_yaml(path)
        data = values.get("data") if isinstance(values, Mapping) else None
        if isinstance(data, Mapping):
            folder = Path(path).resolve().parent
            lists = {
                key: str(folder / value)
                for key, value in data.items()
                if key in ("validation_list", "exclude_list") and isinstance(value, str)
            }
            values = {**values, "data": {**data, **lists}}
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as :meth:`from_dict` takes them."""
        rest = {name: asdict(getattr(self, name)) for name in ("data", "optimizer", "run")}
        return {**self.vocoder.to_dict(), **rest}

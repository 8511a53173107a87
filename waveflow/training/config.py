"""What a training run is made of, beside the vocoder itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from waveflow.audio.mel import MelConfig
from waveflow.config import ModelConfig, SynthesisConfig, VocoderConfig, parse
from waveflow.yaml_file import read_yaml


@dataclass(frozen=True)
class DataConfig:
    """Which clips are held out, and how the others are cut.

    Attributes:
        validation_list: file of clip ids, one a line, for validation; beside the YAML unless
            absolute. Without it every twentieth clip is held out.
        exclude_list: file of clip ids that training and validation never see.
        mels: folder of ``<clip id>.npy`` inside the data folder, log-mels (n_mels, frames) that a
            text-to-speech model predicted, to condition on; by default mels are computed from
            the recordings.
        segment_frames: mel frames of a training crop.
        batch_size: crops a step, over all devices and machines together.
        workers: processes that prepare batches on each device; 0 prepares them in the training
            process.
        on_device: keep the corpus in the memory of the device and cut the crops there.
        open_shards: shards of a sharded corpus that crops are shuffled among at a time.
        cache_gigabytes: most that fetched shards of a remote corpus take on the local disk.
    """

    validation_list: str | None = None
    exclude_list: str | None = None
    mels: str | None = None
    segment_frames: int = 48
    batch_size: int = 8
    workers: int = 0
    on_device: bool = False
    open_shards: int = 8
    cache_gigabytes: float = 20.0


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam, its schedule, how long, and what happens when it goes wrong.

    Attributes:
        max_steps: length of the run; the learning rate reaches zero there, on a cosine.
        learning_rate: peak learning rate.
        warmup_steps: steps of linear rise to it.
        beta1: decay of Adam's first moment.
        beta2: decay of Adam's second moment.
        clip_norm: gradients of a larger norm are scaled down to it. The gradient of nats per
            sample has norms of 50 to 200 here; a much lower bound slows learning down.
        ema_decay: decay of the weight average that is validated and exported.
        patience: so many steps in a row without a finite gradient, and the run goes back to its
            last good checkpoint.
        backoff: factor of the learning rate after going back.
    """

    max_steps: int = 100_000
    learning_rate: float = 1e-3
    warmup_steps: int = 100
    beta1: float = 0.9
    beta2: float = 0.99
    clip_norm: float = 50.0
    ema_decay: float = 0.999
    patience: int = 10
    backoff: float = 0.5


@dataclass(frozen=True)
class ComputeConfig:
    """How the arithmetic is done. None of it changes what is learnt, up to rounding.

    Attributes:
        precision: Lightning's name of the arithmetic: ``32-true`` or ``bf16-mixed``.
        reversible: rebuild activations in the backward pass instead of keeping them: memory does
            not grow with the number of flows, for some 1.3 times the arithmetic.
        compile: compile the conditioners with ``torch.compile`` in this mode.
        accumulate: parts that a device cuts its share of a batch into, one after the other.
    """

    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    reversible: bool = False
    compile: Literal["default", "reduce-overhead", "max-autotune"] | None = None
    accumulate: int = 1


@dataclass(frozen=True)
class RunConfig:
    """When a run looks up from its work, and whom it tells.

    Attributes:
        seed: of weights, order, crops and dequantisation.
        init_from: name or folder of a model whose weights the run starts from; by default they
            are random. A lapflow or a source_filter may start from one of fewer flows.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations and exports.
        log_every: steps between scalars.
        report_seconds: seconds between lines on stderr, where that is no terminal.
        audio_clips: validation clips vocoded for the log.
        loggers: where scalars go; ``tensorboard`` and ``wandb`` get sounds and pictures as well.
    """

    seed: int = 0
    init_from: str | None = None
    checkpoint_every: int = 500
    validate_every: int = 1000
    log_every: int = 20
    report_seconds: float = 60.0
    audio_clips: int = 2
    loggers: tuple[Literal["tensorboard", "csv", "wandb"], ...] = ("tensorboard",)


@dataclass(frozen=True)
class TrainingConfig:
    """A recipe: everything in its YAML."""

    model: ModelConfig
    mel: MelConfig = field(default_factory=MelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    run: RunConfig = field(default_factory=RunConfig)

    @property
    def vocoder(self) -> VocoderConfig:
        """The part that is saved with the weights."""
        return VocoderConfig(model=self.model, mel=self.mel, synthesis=self.synthesis)

    def override(self, values: Mapping[str, Any]) -> TrainingConfig:
        """The same recipe with ``section.key`` set to each value that is not None."""
        plain = self.to_dict()
        for name, value in values.items():
            section, key = name.split(".")
            if value is not None:
                plain[section][key] = value
        return self.from_dict(plain)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Read plain values; ValueError names an unknown key."""
        sections = {
            "model": ModelConfig,
            "mel": MelConfig,
            "data": DataConfig,
            "optimizer": OptimizerConfig,
            "compute": ComputeConfig,
            "synthesis": SynthesisConfig,
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
        sections = ("data", "optimizer", "compute", "run")
        rest = {section: asdict(getattr(self, section)) for section in sections}
        return {**self.vocoder.to_dict(), **rest}

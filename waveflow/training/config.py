"""The configuration of a training run: the recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_type_hints

from waveflow.audio.fields import Section, number
from waveflow.audio.mel import MelConfig
from waveflow.config import (
    FITS,
    Fits,
    ModelConfig,
    SynthesisConfig,
    VocoderConfig,
    parse,
    require_fit,
)
from waveflow.io.paths import as_path
from waveflow.io.yaml import read_yaml

MARGIN = 8
"""Frames at each end of a crop that discriminators do not see. There the flow starts from silence,
and networks and iterations have context on one side only."""
SPECTRA = (512, 1024, 2048)
"""FFT sizes of the spectrum discriminators and of the log-mels that are compared."""
_MOST_STEPS = 10**9
_BELOW_1 = 1 - 1e-9


@dataclass(frozen=True)
class DataConfig(Section):
    """The split of the corpus, and the crops of a batch.

    Attributes:
        validation_list: file of clip ids for validation, one per line; a relative path starts at
            the folder of the YAML. None holds out every twentieth clip.
        exclude_list: file of clip ids that training and validation never see.
        mels: folder of ``<clip id>.npy`` inside the data folder, log-mels (n_mels, frames) that a
            text-to-speech model predicted, to condition on; None computes the mels from the
            recordings.
        segment_frames: mel frames of a training crop.
        batch_size: crops per step, over all devices and machines together.
        workers: processes that prepare batches on each device; 0 prepares them in the training
            process.
        on_device: keep the corpus in the memory of the device and cut the crops there.
        open_shards: shards of a sharded corpus that crops are shuffled among at a time.
        cache_gigabytes: largest size of the fetched shards of a remote corpus on the local disk.
    """

    section: ClassVar[str] = "data"
    validation_list: str | None = None
    exclude_list: str | None = None
    mels: str | None = None
    segment_frames: int = number(48, 1, 100_000)
    batch_size: int = number(8, 1, 100_000)
    workers: int = number(0, 0, 1024)
    on_device: bool = False
    open_shards: int = number(8, 1, 1_000_000)
    cache_gigabytes: float = number(20.0, 0, 1_000_000, above=True)


@dataclass(frozen=True)
class OptimizerConfig(Section):
    """Adam and its schedule, the length of the run, and the recovery from divergence.

    Attributes:
        max_steps: length of the run in steps; the learning rate falls to zero there, on a cosine.
        learning_rate: peak learning rate.
        warmup_steps: steps over which the learning rate rises linearly to its peak.
        beta1: decay of Adam's first moment.
        beta2: decay of Adam's second moment.
        clip_norm: largest norm of the gradient; larger gradients are scaled down. The gradient of
            nats per sample has norms of 50 to 200; a much lower limit slows learning down.
        ema_decay: decay of the weight average that is validated and exported.
        patience: number of consecutive steps without a finite gradient after which the run returns
            to its last good checkpoint.
        backoff: factor of the learning rate after a return.
    """

    section: ClassVar[str] = "optimizer"
    max_steps: int = number(100_000, 1, _MOST_STEPS)
    learning_rate: float = number(1e-3, 0, 10, above=True)
    warmup_steps: int = number(100, 0, _MOST_STEPS)
    beta1: float = number(0.9, 0, _BELOW_1)
    beta2: float = number(0.99, 0, _BELOW_1)
    clip_norm: float = number(50.0, 0, 1e12, above=True)
    ema_decay: float = number(0.999, 0, _BELOW_1)
    patience: int = number(10, 1, _MOST_STEPS)
    backoff: float = number(0.5, 0, 1, above=True)


@dataclass(frozen=True)
class AdversarialConfig(Section):
    """Weights of the losses of :class:`waveflow.training.adversarial.AdversarialTraining`.

    Attributes:
        adversarial: weight of the adversarial loss; 0 trains by likelihood alone, without
            discriminators.
        features: weight of the distance of the discriminators' features.
        mel: weight of the distance of log-mels at three resolutions.
        likelihood: weight of nats per sample of the recordings.
        own_likelihood: weight of nats per sample of what the vocoder synthesises, held fixed, where
            they are below those of the recording. It keeps the latents of such sound standard
            normal.
        learning_rate: peak learning rate of the discriminators.
    """

    section: ClassVar[str] = "adversarial"
    adversarial: float = number(0.0, 0, 1e6)
    features: float = number(2.0, 0, 1e6)
    mel: float = number(45.0, 0, 1e6)
    likelihood: float = number(1.0, 0, 1e6)
    own_likelihood: float = number(0.0, 0, 1e6)
    learning_rate: float = number(3e-4, 0, 10, above=True)


@dataclass(frozen=True)
class ComputeConfig(Section):
    """Options of the computation. None of them changes the result, up to rounding.

    Attributes:
        precision: Lightning's name of the precision: ``32-true`` or ``bf16-mixed``.
        reversible: rebuild activations in the backward pass instead of keeping them: memory does
            not grow with the number of flows, for some 1.3 times the arithmetic.
        compile: mode of ``torch.compile`` for the conditioners; None does not compile them.
        accumulate: number of parts, processed one after the other, that a device cuts its share
            of a batch into.
    """

    section: ClassVar[str] = "compute"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    reversible: bool = False
    compile: Literal["default", "reduce-overhead", "max-autotune"] | None = None
    accumulate: int = number(1, 1, 100_000)


@dataclass(frozen=True)
class RunConfig(Section):
    """Seed, initial weights, intervals and loggers of a run.

    Attributes:
        seed: seed of weights, order, crops and dequantisation.
        init_from: name or folder of a model whose weights the run starts from; None is random
            weights. A lapflow or a source_filter may start from a model with fewer flows.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations and exports.
        log_every: steps between logged scalars.
        report_seconds: seconds between lines on stderr if it is not a terminal.
        audio_clips: number of validation clips vocoded for the log.
        loggers: loggers of scalars; ``tensorboard`` and ``wandb`` also log sounds and pictures.
    """

    section: ClassVar[str] = "run"
    seed: int = number(0, 0, 2**63 - 1)
    init_from: str | None = None
    checkpoint_every: int = number(500, 1, _MOST_STEPS)
    validate_every: int = number(1000, 1, _MOST_STEPS)
    log_every: int = number(20, 1, _MOST_STEPS)
    report_seconds: float = number(60.0, 0, 1e9)
    audio_clips: int = number(2, 0, 10_000)
    loggers: tuple[Literal["tensorboard", "csv", "wandb"], ...] = ("tensorboard",)


def _parts(data: DataConfig, compute: ComputeConfig) -> Iterator[str]:
    if data.batch_size % compute.accumulate:
        yield (
            f"expected data.batch_size to be a multiple of compute.accumulate "
            f"{compute.accumulate}; got {data.batch_size}"
        )


def _first_batch(model: ModelConfig, mel: MelConfig, data: DataConfig) -> Iterator[str]:
    """A layer that normalises its channels by the first batch needs two steps for a variance."""
    samples = data.batch_size * data.segment_frames * mel.hop_length
    if samples < 2 * model.longest_step():
        yield (
            f"expected data.batch_size times data.segment_frames, {data.batch_size} x "
            f"{data.segment_frames} frames of mel.hop_length {mel.hop_length}, to be at least two "
            f"steps of the model, of {model.longest_step()} samples each; got {samples} samples"
        )


def _judged(adversarial: AdversarialConfig, mel: MelConfig, data: DataConfig) -> Iterator[str]:
    """The part of a crop that discriminators see must hold a whole spectrum."""
    least = 2 * MARGIN + -(-max(SPECTRA) // mel.hop_length)
    if adversarial.adversarial and data.segment_frames < least:
        yield (
            f"expected data.segment_frames of at least {least} with discriminators, which do not "
            f"see {MARGIN} frames at each end; got {data.segment_frames}"
        )


_FITS: Fits = {
    **FITS,
    ("data", "compute"): _parts,
    ("model", "mel", "data"): _first_batch,
    ("adversarial", "mel", "data"): _judged,
}


@dataclass(frozen=True)
class TrainingConfig:
    """A recipe: the content of its YAML."""

    model: ModelConfig
    mel: MelConfig = field(default_factory=MelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    adversarial: AdversarialConfig = field(default_factory=AdversarialConfig)
    compute: ComputeConfig = field(default_factory=ComputeConfig)
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    run: RunConfig = field(default_factory=RunConfig)

    def __post_init__(self) -> None:
        require_fit(vars(self), _FITS)

    @property
    def vocoder(self) -> VocoderConfig:
        """The config that is saved with the weights."""
        return VocoderConfig(model=self.model, mel=self.mel, synthesis=self.synthesis)

    def override(self, values: Mapping[str, Any]) -> TrainingConfig:
        """A copy of the recipe with each ``section.key`` set to its value; None is ignored."""
        plain = self.to_dict()
        for name, value in values.items():
            section, key = name.split(".")
            if value is not None:
                plain[section][key] = value
        return self.from_dict(plain)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Make a recipe from plain values.

        Raises:
            ValueError: the values are not a recipe; see :func:`waveflow.config.parse`.
        """
        return cls(**parse(values, get_type_hints(cls), _FITS))

    @classmethod
    def from_yaml(cls, path: str | Path) -> TrainingConfig:
        """Read a recipe from a file; relative paths of its lists start at its folder.

        Raises:
            OSError: the file cannot be opened.
            ValueError: the file is not a recipe; names the file and every fault.
        """
        path = as_path(path)
        values = read_yaml(path)
        try:
            config = cls.from_dict(values)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        folder = path.resolve().parent
        lists = {
            f"data.{name}": str(folder / value)
            for name in ("validation_list", "exclude_list")
            if (value := getattr(config.data, name)) is not None
        }
        return config.override(lists)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for :meth:`from_dict`."""
        return {**asdict(self), **self.vocoder.to_dict()}

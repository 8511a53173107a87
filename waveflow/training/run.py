"""One training run: a folder to start, resume, and load weights from."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
import yaml
from lightning.pytorch.strategies import DDPStrategy, Strategy

from waveflow.devices import choose_device
from waveflow.io.atomic import write_atomically
from waveflow.io.paths import as_path
from waveflow.io.yaml import read_yaml
from waveflow.training.adversarial import AdversarialTraining
from waveflow.training.callbacks import Autotune, CheckpointCallback, StopCallback
from waveflow.training.checkpoint import (
    SafeCheckpointIO,
    checkpoint_step,
    newest_checkpoint,
    remove_leftovers,
)
from waveflow.training.config import TrainingConfig
from waveflow.training.crops import Batches
from waveflow.training.data import Corpus
from waveflow.training.logs import LogFlow, LogSpeech, make_loggers
from waveflow.training.module import LikelihoodTraining
from waveflow.training.progress import ShowProgress
from waveflow.vocoder import Vocoder

RUN_FILE = "run.yaml"
DONE_FILE = "done"
CHECKPOINTS_FOLDER = "checkpoints"
MODEL_FOLDER = "model"

_MAY_CHANGE = {
    "optimizer.max_steps",
    "optimizer.patience",
    "optimizer.backoff",
    "data.validation_list",
    "data.exclude_list",
    "data.workers",
    "data.on_device",
    "data.cache_gigabytes",
    "run.checkpoint_every",
    "run.validate_every",
    "run.log_every",
    "run.report_seconds",
    "run.audio_clips",
    "run.loggers",
    "compute",
    "synthesis",
}
"""Keys and whole sections of a recipe that may differ when a run resumes."""


@dataclass(frozen=True)
class Outcome:
    """The result of a call of :func:`train`.

    Attributes:
        steps: number of steps since the start of the run.
        stopped_by: cause of a stop before the last step: ``time limit``, ``SIGTERM`` or
            ``SIGINT``; None if the run is finished.
        nats_per_sample: nats per sample on the validation clips; None if the run was stopped.
        is_main: whether this process reports for the run; exactly one process does.
    """

    steps: int
    stopped_by: str | None
    nats_per_sample: float | None
    is_main: bool = True


def train(
    config: TrainingConfig,
    *,
    data: str | Path,
    out: str | Path,
    resume: bool = False,
    max_time: timedelta | None = None,
    device: str = "auto",
    devices: int = 1,
    nodes: int = 1,
) -> Outcome:
    """Start a run, or resume it.

    ``out`` holds ``run.yaml``, ``checkpoints``, the output of the loggers, and ``model``, a folder
    for :meth:`waveflow.Vocoder.from_pretrained`; and ``done`` once the last step is reached. A
    second call with the same folder resumes from the newest intact checkpoint, with the same result
    as an uninterrupted run.

    With several devices every process of the run calls this function; this call, ``torchrun``, or
    SLURM starts them.

    Args:
        config: the recipe.
        data: folder of recordings; or folder or URL of shards.
        out: folder of the run.
        resume: fail if there is no run in ``out``; otherwise an existing run is resumed, or a new
            one starts.
        max_time: time after which this call stops and saves the run; None is no limit.
        device: device to train on: ``cpu``, ``cuda``, or ``auto``, CUDA if there is a CUDA device.
        devices: number of devices of each machine.
        nodes: number of machines.

    Raises:
        ValueError: ``out`` holds a run of another recipe, or no run to resume; the run diverged
            repeatedly; the batch does not divide among devices and parts; the device is unknown,
            or there is no CUDA device.
        OSError: a file cannot be read or written.
    """
    stop = StopCallback(max_time)
    device = choose_device(device)
    # checked here, before other processes start
    Batches(config.data.batch_size, devices=devices * nodes, parts=config.compute.accumulate)
    out, _ = as_path(out), as_path(data)
    checkpoints = out / CHECKPOINTS_FOLDER
    checkpoint = newest_checkpoint(checkpoints)
    if resume and checkpoint is None:
        raise ValueError(f"{out}: expected a run to resume; got no checkpoint")
    if (out / RUN_FILE).is_file():
        # missing fields of an older run have their defaults
        before = TrainingConfig.from_dict(read_yaml(out / RUN_FILE))
        _require_same_run(before.to_dict(), config.to_dict())
    step = 0 if checkpoint is None else checkpoint_step(checkpoint)
    start = None
    if config.run.init_from is not None and checkpoint is None:
        start = _read_start(config.run.init_from, config)
    torch.manual_seed(config.run.seed)
    training = AdversarialTraining if config.adversarial.adversarial else LikelihoodTraining
    module = training(config, start=start)  # first, because it fails early
    corpus = Corpus(data, config)
    strategy: Strategy | str = "auto"
    if devices * nodes > 1:
        # Buffers are equal on all devices, because they come from equal gradients and batches.
        strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    with warnings.catch_warnings():
        _hide_messages()
        trainer = lightning.Trainer(
            max_steps=config.optimizer.max_steps,
            accelerator=device,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=config.compute.precision,
            accumulate_grad_batches=config.compute.accumulate,
            plugins=[SafeCheckpointIO()],
            logger=make_loggers(config.run.loggers, out, step=step),
            callbacks=[
                CheckpointCallback(checkpoints, out / MODEL_FOLDER),
                stop,
                LogSpeech(),
                LogFlow(),
                Autotune(),
                ShowProgress(),
            ],
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=False,
            log_every_n_steps=config.run.log_every,
            val_check_interval=config.run.validate_every * config.compute.accumulate,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        if trainer.is_global_zero:
            checkpoints.mkdir(parents=True, exist_ok=True)
            remove_leftovers(checkpoints)
            (out / DONE_FILE).unlink(missing_ok=True)
            recipe = yaml.safe_dump(config.to_dict(), sort_keys=False)
            write_atomically(out / RUN_FILE, recipe.encode())
        trainer.fit(module, corpus, ckpt_path=checkpoint, weights_only=True)
        steps = trainer.global_step
        if stop.reason is not None and steps < config.optimizer.max_steps:
            return Outcome(steps, stop.reason, None, trainer.is_global_zero)
        (metrics,) = trainer.validate(module, corpus, verbose=False)
    nats = metrics["validation/nats_per_sample"]
    if trainer.is_global_zero:
        done = json.dumps({"steps": steps, "nats_per_sample": nats})
        write_atomically(out / DONE_FILE, f"{done}\n".encode())
    return Outcome(steps, None, nats, trainer.is_global_zero)


def _read_start(name: str, config: TrainingConfig) -> Vocoder:
    """The vocoder that a run starts from, checked to fit the recipe.

    Raises:
        ValueError: its model or mel does not fit.
    """
    start = Vocoder.from_pretrained(name)
    if start.config.mel != config.mel or not config.model.grows_from(start.config.model):
        different = _differences(start.config.to_dict(), config.to_dict(), words=("there", "here"))
        sections = ("model.", "mel.")
        raise ValueError(
            f"{name}: expected a model that fits the recipe; it differs in "
            + "; ".join(text for key, text in different.items() if key.startswith(sections))
        )
    return start


def _require_same_run(then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a recipe may resume a run.

    Raises:
        ValueError: keys differ that may not; names each.
    """
    different = _differences(then, now, words=("then", "now"))
    fixed = [
        text for key, text in different.items() if _MAY_CHANGE.isdisjoint({key, key.split(".")[0]})
    ]
    if fixed:
        raise ValueError(f"the run was started with another recipe: {'; '.join(fixed)}")


def _differences(
    one: Mapping[str, Any], other: Mapping[str, Any], *, words: tuple[str, str]
) -> dict[str, str]:
    """The keys ``section.key`` whose plain values differ, each with a text that has both values."""
    found = {}
    for section, values in other.items():
        for key, value in values.items():
            before = one.get(section, {}).get(key)
            if before != value:
                name = f"{section}.{key}"
                found[name] = f"{name}: {before!r} {words[0]}, {value!r} {words[1]}"
    return found


def _hide_messages() -> None:
    """Hide messages of Lightning that do not apply here."""
    for package in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*available but not used.*")
    warnings.filterwarnings("ignore", message=".*Experiment logs directory.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning on this torch

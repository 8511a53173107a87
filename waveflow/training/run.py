"""One training run: a folder that starts, resumes, and always holds usable weights."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger

from waveflow.config import read_yaml
from waveflow.files import write_atomically
from waveflow.training.callbacks import CHECKPOINT_FILE, KeepRun, LogAudio, TimeLimit
from waveflow.training.config import TrainingConfig
from waveflow.training.data import Corpus
from waveflow.training.module import LikelihoodTraining

RUN_FILE = "run.yaml"
_MAY_CHANGE = {
    "optimizer.max_steps",
    "data.validation_list",
    "data.exclude_list",
    "run.validate_every",
    "run.log_every",
    "run.audio_clips",
}
"""Keys of a recipe that may differ when a run goes on."""


def train(
    config: TrainingConfig,
    *,
    data: str | Path,
    out: str | Path,
    max_steps: int | None = None,
    max_time: timedelta | None = None,
    seed: int | None = None,
) -> float:
    """Train, or go on training.

    ``out`` holds ``run.yaml``, ``last.ckpt``, TensorBoard's events, and ``model``, a folder for
    :meth:`waveflow.Vocoder.from_pretrained`. Called again on the same folder it resumes.

    Args:
        config: the recipe.
        data: a folder of recordings.
        out: the folder of the run.
        max_steps: overrides the recipe's.
        max_time: stop, resumably, after this much time of this call.
        seed: overrides the recipe's.

    Returns:
        Nats per sample on the validation clips.

    Raises:
        ValueError: ``out`` holds a run of another recipe; names the differing keys.
    """
    if max_steps is not None:
        config = replace(config, optimizer=replace(config.optimizer, max_steps=max_steps))
    if seed is not None:
        config = replace(config, run=replace(config.run, seed=seed))
    out = Path(out)
    checkpoint = out / CHECKPOINT_FILE
    if checkpoint.is_file():
        _require_same_run(read_yaml(out / RUN_FILE), config.to_dict())
    corpus = Corpus(data, config)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / RUN_FILE, yaml.safe_dump(config.to_dict(), sort_keys=False).encode())

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    torch.manual_seed(config.run.seed)
    module = LikelihoodTraining(config)
    callbacks: list[lightning.Callback] = [KeepRun(out, every=config.run.validate_every)]
    callbacks.append(LogAudio(config.run.audio_clips))
    if max_time is not None:
        callbacks.append(TimeLimit(max_time))
    trainer = lightning.Trainer(
        max_steps=config.optimizer.max_steps,
        precision=config.optimizer.precision,
        logger=TensorBoardLogger(out, name=None, version="events"),
        callbacks=callbacks,
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=config.run.log_every,
        val_check_interval=config.run.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning on this torch
        trainer.fit(
            module,
            corpus,
            ckpt_path=checkpoint if checkpoint.is_file() else None,
            weights_only=True,
        )
        (metrics,) = trainer.validate(module, corpus, verbose=False)
    return metrics["validation/nats_per_sample"]


def _require_same_run(then: Any, now: Mapping[str, Any]) -> None:
    """Raise ValueError naming the keys that differ and may not."""
    different = [
        f"{section}.{key}: {then.get(section, {}).get(key)!r} then, {value!r} now"
        for section, values in now.items()
        for key, value in values.items()
        if then.get(section, {}).get(key) != value and f"{section}.{key}" not in _MAY_CHANGE
    ]
    if different:
        raise ValueError(f"the run was started with another recipe: {'; '.join(different)}")

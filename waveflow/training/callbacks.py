"""What happens beside the training steps: checkpoints, exports, audio to listen to, the clock."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import cast

import lightning.pytorch as lightning
from lightning.pytorch.loggers import TensorBoardLogger

from waveflow.files import atomic_path
from waveflow.training.data import Corpus
from waveflow.training.module import LikelihoodTraining

CHECKPOINT_FILE = "last.ckpt"
MODEL_FOLDER = "model"


class TimeLimit(lightning.Callback):
    """Stop after a step once this much time has gone since training began, or began again."""

    def __init__(self, limit: timedelta):
        self.limit = limit

    def on_train_start(self, *args: object) -> None:
        self._start = time.monotonic()

    def on_train_batch_end(self, trainer: lightning.Trainer, *args: object) -> None:
        if time.monotonic() - self._start > self.limit.total_seconds():
            trainer.should_stop = True


class KeepRun(lightning.Callback):
    """Write a checkpoint to resume from and the averaged vocoder, every so often and at the end.

    Args:
        folder: of the run.
        every: steps.
    """

    def __init__(self, folder: Path, *, every: int):
        self.folder = folder
        self.every = every

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, *args: object
    ) -> None:
        if trainer.global_step % self.every == 0:
            self._save(trainer, module)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self._save(trainer, module)

    def on_exception(
        self,
        trainer: lightning.Trainer,
        module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        if isinstance(exception, KeyboardInterrupt):
            self._save(trainer, module)

    def _save(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        with atomic_path(self.folder / CHECKPOINT_FILE) as path:
            trainer.save_checkpoint(path)
        cast(LikelihoodTraining, module).averaged_vocoder.save_pretrained(
            self.folder / MODEL_FOLDER
        )


class LogAudio(lightning.Callback):
    """Vocode the first validation clips into TensorBoard after each validation.

    Args:
        clips: how many.
    """

    def __init__(self, clips: int):
        self.clips = clips

    def on_validation_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule
    ) -> None:
        logger, corpus = trainer.logger, getattr(trainer, "datamodule", None)
        if not isinstance(logger, TensorBoardLogger) or not isinstance(corpus, Corpus):
            return
        module = cast(LikelihoodTraining, module)
        for clip in corpus.validation[: self.clips]:
            mel = clip.mel[None].to(module.device)
            audio = module.averaged_vocoder(mel, seed=0)[0].clamp(-1, 1)
            rate = module.config.mel.sample_rate
            logger.experiment.add_audio(clip.name, audio.cpu(), trainer.global_step, rate)

"""Logs of a run: scalars, sounds and pictures, for one or several loggers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from torch import Tensor

from waveflow.audio.pictures import LOUDEST, SOFTEST, levels
from waveflow.audio.quantise import QUANTUM
from waveflow.bijections import EarlyOutput
from waveflow.bijections.reversible import flatten
from waveflow.training.clips import Clip
from waveflow.training.module import LikelihoodTraining
from waveflow.vocoder import Vocoder

TEMPERATURES = (0.0, 0.6, 0.8, 1.0)
PICTURE_SECONDS = 2.0


def make_loggers(names: Iterable[str], folder: Path, *, step: int) -> list[Logger]:
    """Make loggers by name.

    Args:
        names: names among ``tensorboard``, ``csv`` and ``wandb``.
        folder: folder of the run; its name is also the name of the run at Weights & Biases.
        step: step that the run resumes from; TensorBoard drops what a killed run logged after it.

    Raises:
        ImportError: Weights & Biases is requested but not installed.
    """
    loggers: list[Logger] = []
    for name in dict.fromkeys(names):
        if name == "tensorboard":
            loggers.append(TensorBoardLogger(folder, name=None, version="events", purge_step=step))
        elif name == "csv":
            loggers.append(CSVLogger(folder, name=None, version=f"csv-{step:09d}"))
        else:
            if find_spec("wandb") is None:
                raise ImportError("run.loggers: wandb needs pip install 'waveflow[wandb]'")
            path = str(folder.resolve()).encode()
            same = hashlib.sha256(path).hexdigest()[:16]  # a resumed run keeps its id there
            loggers.append(
                WandbLogger(
                    project="waveflow", name=folder.name, id=same, resume="allow", save_dir=folder
                )
            )
    return loggers


class LogSpeech(Callback):
    """Vocodes the first validation clips at several temperatures after each validation.

    Every sound has a picture: the recording's spectrogram above the vocoded one's. The recipe's
    ``run.audio_clips`` is the number of clips.
    """

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        takes_sounds = any(
            isinstance(one, TensorBoardLogger | WandbLogger) for one in trainer.loggers
        )
        if not trainer.is_global_zero or not takes_sounds:
            return
        module = cast(LikelihoodTraining, module)
        vocoder, mel_config = module.averaged_vocoder, module.config.mel
        clips = cast(Any, trainer).datamodule.validation
        for number in range(min(module.config.run.audio_clips, len(clips))):
            clip = clips.clip(number)
            recorded = clip.audio * QUANTUM
            _log_sound(trainer, f"{clip.name}/recorded", recorded, mel_config.sample_rate)
            for temperature in TEMPERATURES:
                mel = clip.mel[None].to(module.device)
                audio = vocoder(mel, temperature=temperature, seed=0, mel_config=mel_config)[0]
                audio = audio.clamp(-1, 1).cpu()
                name = f"{clip.name}/temperature {temperature}"
                grey = picture(recorded, audio, mel_config.sample_rate)
                _log_sound(trainer, name, audio, mel_config.sample_rate, grey)


class LogFlow(Callback):
    """Logs what every block does to a validation clip: log_det per sample, and output moments.

    A healthy flow moves speech to unit variance gradually. If the log_det of a block diverges, or
    its output is far from that of its neighbours, look for the fault there.
    """

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        clip = cast(Any, trainer).datamodule.validation.clip(0)
        vocoder = cast(LikelihoodTraining, module).averaged_vocoder
        figures = flow_figures(vocoder, clip, device=module.device)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)


@torch.no_grad()
def flow_figures(vocoder: Vocoder, clip: Clip, *, device: torch.device) -> dict[str, float]:
    """Figures of every block on a clip, named ``flow/<number> <kind>/<figure>``.

    ``log_det`` is in nats per sample; ``mean`` and ``std`` are those of the block's output;
    ``z/mean``, ``z/std`` and ``z/excess_kurtosis`` are 0, 1 and 0 if the model is right.
    """
    x = clip.audio[None].to(device) * QUANTUM
    context = vocoder.context_net(clip.mel[None].to(device))
    figures = {}
    for number, block in enumerate(flatten(vocoder.flow.bijection)):
        x, log_det = block(x, context)
        kind = block.rest if isinstance(block, EarlyOutput) else block
        name = f"flow/{number:02d} {type(kind).__name__}"
        figures[f"{name}/log_det"] = log_det.item() / len(clip.audio)
        figures[f"{name}/mean"] = x.mean().item()
        figures[f"{name}/std"] = x.std().item()
    standard = (x - x.mean()) / x.std()
    figures["z/mean"] = x.mean().item()
    figures["z/std"] = x.std().item()
    figures["z/excess_kurtosis"] = standard.pow(4).mean().item() - 3
    return figures


def picture(recorded: Tensor, vocoded: Tensor, sample_rate: int) -> Tensor:
    """Narrow-band spectrograms in grey, (rows, columns) in [0, 1]: recorded above vocoded.

    They show the first :data:`PICTURE_SECONDS` seconds up to a quarter of the sample rate, where
    voiced speech has its harmonics.

    Args:
        recorded: audio of the recording, (time,).
        vocoded: audio of the copy, (time,).
        sample_rate: sample rate of both, Hz.
    """

    def grey(audio: Tensor) -> Tensor:
        level = levels(audio[: int(PICTURE_SECONDS * sample_rate)], 64)[:256]
        return ((level - SOFTEST) / (LOUDEST - SOFTEST)).clamp(0, 1).flip(0)

    top, bottom = grey(recorded), grey(vocoded)
    return torch.cat([top, top.new_ones(2, top.shape[1]), bottom])


def _log_sound(
    trainer: Trainer, name: str, audio: Tensor, rate: int, grey: Tensor | None = None
) -> None:
    """Log audio, (time,), and its picture in grey, (rows, columns)."""
    step = trainer.global_step
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_audio(name, audio, step, rate)
            if grey is not None:
                logger.experiment.add_image(name, grey, step, dataformats="HW")
        elif isinstance(logger, WandbLogger):
            logger.log_audio(name, [audio.numpy()], step=step, sample_rate=[rate])
            if grey is not None:
                logger.log_image(name, [grey.numpy()], step=step)

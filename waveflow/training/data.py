"""The corpus of a run: crops to train on, whole clips to validate on."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as lightning
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from waveflow.audio.clip_list import find_clips
from waveflow.audio.mel import LogMel
from waveflow.audio.quantise import dequantise, fixed_noise
from waveflow.training.clips import Clip, Clips, MemoryClips
from waveflow.training.config import DataConfig, TrainingConfig
from waveflow.training.corpus import load_clips, split_clips
from waveflow.training.crops import Batches, CropPositions, Crops, DeviceCorpus
from waveflow.training.shards import ShardedClips, ShardIndex, is_sharded


class WholeClips(Dataset[tuple[Tensor, Tensor]]):
    """Whole clips with fixed dequantisation noise; numbers beyond the last give empty clips.

    Args:
        clips: the clips.
    """

    def __init__(self, clips: Clips):
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips.names)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """``audio`` (time,) and ``mel`` (n_mels, frames)."""
        clip = self.clip(index)
        return dequantise(clip.audio, fixed_noise(len(clip.audio))), clip.mel

    def clip(self, index: int) -> Clip:
        """The clip before dequantisation."""
        if index >= len(self):
            return self.clips.read(0, 0, 0)
        return self.clips.read(index, 0, self.clips.frames[index])


def numbers_of(size: int, *, rank: int, devices: int) -> range:
    """The numbers below ``size`` of one device: every ``devices``-th, from ``rank`` on.

    All devices must take part, so a device without a number gets one beyond ``size``.
    """
    return range(rank, max(size, devices), devices)


class Corpus(lightning.LightningDataModule):
    """Recordings for a run: crops to train on, whole clips to validate on.

    Args:
        source: folder of recordings (see :func:`waveflow.audio.clip_list.find_clips`), held in
            memory; or folder or URL of shards, read as needed.
        config: the recipe.

    Raises:
        ValueError: the recipe needs recordings or stored mels that ``source`` does not have, or
            the cache is too small.
    """

    _device_corpus: DeviceCorpus

    def __init__(self, source: str | Path, config: TrainingConfig):
        super().__init__()
        self.config = config
        data = config.data
        log_mel = LogMel(config.mel).float()
        training: Clips
        validation: Clips
        if is_sharded(source):
            if data.on_device:
                raise ValueError(
                    f"data.on_device: expected a folder of recordings; got shards ({source}), "
                    "which are read as needed"
                )
            index = ShardIndex.read(source)
            if data.mels and index.mel is None:
                raise ValueError(
                    f"data.mels: expected shards that hold mels; got {source} without mels"
                )
            split = split_clips(index.names, data)
            limit = _cache_limit(index, data)
            training = ShardedClips(
                index, log_mel, split.training, min_frames=data.segment_frames, cache_bytes=limit
            )
            validation = ShardedClips(
                index, log_mel, split.validation, cache_bytes=limit, whole_shards=False
            )
        else:
            paths = find_clips(source)
            split = split_clips(paths, data)
            mels = Path(source) / data.mels if data.mels else None

            def load(names: list[str], min_frames: int) -> MemoryClips:
                chosen = [paths[name] for name in names]
                clips = list(load_clips(chosen, log_mel, min_frames=min_frames, mels=mels))
                return MemoryClips(clips, hop_length=config.mel.hop_length)

            training = load(split.training, data.segment_frames)
            validation = load(split.validation, 1)
        self.crops = Crops(
            training,
            segment_frames=data.segment_frames,
            seed=config.run.seed,
            open_groups=data.open_shards,
        )
        self.validation = WholeClips(validation)

    def first_batch(self) -> tuple[Tensor, Tensor]:
        """The crops of the first step over all devices."""
        crops = [self.crops[index] for index in range(self.config.data.batch_size)]
        audio, mel = default_collate(crops)
        return audio, mel

    def train_dataloader(self) -> DataLoader[Any]:
        data = self.config.data
        trainer = cast(lightning.Trainer, self.trainer)
        batches = Batches(
            data.batch_size,
            start=trainer.global_step,
            rank=trainer.global_rank,
            devices=trainer.world_size,
            parts=self.config.compute.accumulate,
        )
        dataset: Dataset[Any] = self.crops
        device = trainer.strategy.root_device
        if data.on_device:
            dataset = CropPositions(self.crops)
            self._device_corpus = DeviceCorpus(self.crops, device=device)
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=data.workers,
            persistent_workers=data.workers > 0,
            worker_init_fn=_ignore_first_sigterm,
            pin_memory=device.type == "cuda",
        )

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        trainer = cast(lightning.Trainer, self.trainer)
        rank, devices = trainer.global_rank, trainer.world_size
        numbers = numbers_of(len(self.validation), rank=rank, devices=devices)
        return DataLoader(self.validation, batch_size=1, sampler=numbers)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> tuple[Tensor, Tensor]:
        """Cut the crops if the batch has their positions."""
        if isinstance(batch, Tensor):
            return self._device_corpus.cut(batch)
        audio, mel = batch
        return audio, mel


def _ignore_first_sigterm(worker: int) -> None:
    """Make a worker of the loader ignore the first SIGTERM.

    A scheduler sends SIGTERM to all processes of a run. The training process then finishes its
    step, for which it needs its workers, and ends the workers itself.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: signal.signal(number, signal.SIG_DFL))


def _cache_limit(index: ShardIndex, data: DataConfig) -> int:
    """Bytes that fetched shards may take; the shards of a shuffling window must fit."""
    limit = int(data.cache_gigabytes * 1e9)
    largest = sorted(shard.size for shard in index.shards)[-data.open_shards :]
    if "://" in index.source and limit < sum(largest):
        raise ValueError(
            f"data.cache_gigabytes: expected room for data.open_shards = {data.open_shards} shards "
            f"of {index.source}, {sum(largest) / 1e9:.6g} GB; got {limit / 1e9:.6g} GB"
        )
    return limit

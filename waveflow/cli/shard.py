"""Write a corpus as shards, to train on it without holding it in memory or on the local disk.

Writes WebDataset tar files of all recordings, shuffled and at the recipe's sample rate, and
index.npz to the folder SHARDS. Mels are stored if the recipe has data.mels. `waveflow train --data`
takes the folder, or the URL of a copy (https://..., s3://...), with the same recipe. The lists of
clips in the recipe apply in training.

Examples:
  waveflow shard recipes/ljspeech/source_filter.yaml --data LJSpeech-1.1 --out shards
  waveflow train recipes/ljspeech/source_filter.yaml --data shards --out run
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from waveflow.cli.arguments import number
from waveflow.cli.messages import report

SUMMARY = "write a corpus that is too large for memory or disk as shards"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "config", metavar="CONFIG.yaml", help="recipe; its mel and data.mels are used"
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of recordings")
    parser.add_argument(
        "--out", required=True, metavar="SHARDS", help="folder for the shards; created if missing"
    )
    parser.add_argument(
        "--megabytes",
        type=number(int, low=1),
        default=256,
        metavar="N",
        help="largest size of a shard (default: %(default)s)",
    )


def run(arguments: Namespace) -> int:
    """Write the shards and print their content; the result is the exit code."""
    from random import Random

    from tqdm import tqdm

    from waveflow.audio import LogMel
    from waveflow.audio.clip_list import find_clips
    from waveflow.training.config import TrainingConfig
    from waveflow.training.corpus import load_clips
    from waveflow.training.shards import check_name, write_shards

    config = TrainingConfig.from_yaml(arguments.config)
    clips = find_clips(arguments.data)
    for name in clips:
        check_name(name)
    paths = list(clips.values())
    Random(0).shuffle(paths)
    mels = Path(arguments.data) / config.data.mels if config.data.mels else None
    bar = tqdm(paths, unit="file", leave=False, disable=None)
    index = write_shards(
        load_clips(bar, LogMel(config.mel), mels=mels),
        arguments.out,
        config.mel,
        megabytes=arguments.megabytes,
        store_mels=mels is not None,
    )
    hours = index.rows["samples"].sum() / config.mel.sample_rate / 3600
    size = sum(shard.size for shard in index.shards) / 1e6
    report(
        f"{len(index.names)} clips, {hours:.2f} hours, in {len(index.shards)} shards of "
        f"{size:.1f} megabytes in all; in {arguments.out}"
    )
    return 0

r"""Train a model by exact likelihood, or go on training it.

RUN gets run.yaml, checkpoints, TensorBoard's events, and RUN/model, which every --model takes.
The same command again goes on, as if the run had not been interrupted: by --max-time, SIGTERM,
Ctrl-C (once: after the step), or worse. DIR is a folder of recordings, or a folder or address
of what `waveflow shard` made. Needs: pip install 'waveflow[train]'.

Examples:
  waveflow train recipes/ljspeech/source_filter.yaml --data LJSpeech-1.1 --out run
  waveflow train recipes/ljspeech/source_filter.yaml --data LJSpeech-1.1 --out run \
    --max-time 08:00:00
  torchrun --nproc-per-node 8 -m waveflow train recipes/ljspeech/source_filter_gpu.yaml \
    --data LJSpeech-1.1 --out run --devices 8
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from waveflow.cli.arguments import add_device, duration, number
from waveflow.cli.messages import report
from waveflow.io.signals import loading

SUMMARY = "train a model"


def describe(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", metavar="CONFIG.yaml", help="recipe: model, data, optimizer")
    parser.add_argument("--data", required=True, metavar="DIR", help="folder of recordings")
    parser.add_argument(
        "--out", required=True, metavar="RUN", help="folder of the run; one begun there goes on"
    )
    parser.add_argument(
        "--resume", action="store_true", help="refuse to begin: a run must be there to go on with"
    )
    parser.add_argument(
        "--init-from",
        metavar="MODEL",
        help="begin with this model's weights (name, folder or id), instead of the recipe's",
    )
    parser.add_argument(
        "--max-steps", type=number(int, low=1), metavar="N", help="length, instead of the recipe's"
    )
    parser.add_argument(
        "--max-time", type=duration, metavar="HH:MM:SS", help="stop, resumably, after this time"
    )
    parser.add_argument(
        "--seed", type=number(int, high=2**32), metavar="S", help="seed, instead of the recipe's"
    )
    for which, what in (("validation", "validated on"), ("exclude", "left out")):
        parser.add_argument(
            f"--{which}-list",
            metavar="LIST",
            help=f"file of clip ids that are {what}, instead of the recipe's",
        )
    add_device(parser)
    for which, what in (("devices", "on each machine"), ("nodes", "machines")):
        parser.add_argument(
            f"--{which}",
            type=number(int, low=1),
            default=1,
            metavar="N",
            help=f"{what} that share each step (default: %(default)s)",
        )


def work(arguments: Namespace) -> int:
    """Train, and tell how it ended; the result is the exit code."""
    from waveflow.training.config import TrainingConfig

    config = TrainingConfig.from_yaml(arguments.config).override(
        {
            "optimizer.max_steps": arguments.max_steps,
            "run.seed": arguments.seed,
            "run.init_from": arguments.init_from,
            "data.validation_list": arguments.validation_list,
            "data.exclude_list": arguments.exclude_list,
        }
    )
    try:
        with loading():
            from waveflow.training.run import train
    except ImportError as error:
        raise ImportError(f"training needs pip install 'waveflow[train]' ({error})") from error
    try:
        outcome = train(
            config,
            data=arguments.data,
            out=arguments.out,
            resume=arguments.resume,
            max_time=arguments.max_time,
            device=arguments.device,
            devices=arguments.devices,
            nodes=arguments.nodes,
        )
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):  # Lightning ends on Ctrl-C by exiting
            raise KeyboardInterrupt from stop
        raise
    if not outcome.is_main:
        return 0
    model = Path(arguments.out) / "model"
    if outcome.stopped_by is not None:
        report(
            f"stopped after step {outcome.steps} ({outcome.stopped_by}); the same command goes on; "
            f"model so far in {model}"
        )
        return 130 if outcome.stopped_by == "SIGINT" else 0
    nats = outcome.nats_per_sample
    report(f"{nats:.4f} nats per sample on the validation clips; model in {model}")
    return 0

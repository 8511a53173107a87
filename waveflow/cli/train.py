r"""Train a model by exact likelihood, or resume its training.

Writes run.yaml, checkpoints, TensorBoard events and the model to the folder RUN; every --model
takes RUN/model. The same command resumes a run that was stopped by --max-time, SIGTERM, Ctrl-C
(the first one stops after the step), a crash or a power failure, with the same result as without
the interruption. DIR is a folder of recordings, or the folder or URL of shards that
`waveflow shard` wrote. Needs: pip install 'waveflow[train]'.

Examples:
  waveflow train recipes/ljspeech/source_filter.yaml --data LJSpeech-1.1 --out run
  waveflow train recipes/ljspeech/source_filter.yaml --data LJSpeech-1.1 --out run \
    --max-time 08:00:00
  torchrun --nproc-per-node 8 -m waveflow train recipes/ljspeech/source_filter_gpu.yaml \
    --data LJSpeech-1.1 --out run --devices 8
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from waveflow.cli.arguments import add_device, duration, number
from waveflow.cli.messages import report
from waveflow.io.signals import loading

SUMMARY = "train a model, or resume its training"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("config", metavar="CONFIG.yaml", help="recipe: model, data, optimizer")
    parser.add_argument("--data", required=True, metavar="DIR", help="recordings or shards")
    parser.add_argument(
        "--out", required=True, metavar="RUN", help="folder of the run; an existing run is resumed"
    )
    parser.add_argument("--resume", action="store_true", help="fail if there is no run to resume")
    parser.add_argument(
        "--init-from",
        metavar="MODEL",
        help="model whose weights the run starts with (name, folder or id); overrides the recipe",
    )
    parser.add_argument(
        "--max-steps",
        type=number(int, low=1),
        metavar="N",
        help="number of steps; overrides the recipe",
    )
    parser.add_argument(
        "--max-time",
        type=duration,
        metavar="HH:MM:SS",
        help="stop after this time and save; the same command resumes",
    )
    parser.add_argument(
        "--seed",
        type=number(int, high=2**32),
        metavar="S",
        help="seed of the run; overrides the recipe",
    )
    for which, what in (("validation", "to validate on"), ("exclude", "to leave out")):
        parser.add_argument(
            f"--{which}-list",
            metavar="LIST",
            help=f"file of clip ids {what}; overrides the recipe",
        )
    add_device(parser)
    for which, what in (("devices", "devices of each machine"), ("nodes", "machines")):
        parser.add_argument(
            f"--{which}",
            type=number(int, low=1),
            default=1,
            metavar="N",
            help=f"{what} that share each step (default: %(default)s)",
        )


def run(arguments: Namespace) -> int:
    """Train, and print how the run ended; the result is the exit code."""
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
            f"stopped after step {outcome.steps} ({outcome.stopped_by}); the same command resumes; "
            f"model so far in {model}"
        )
        return 130 if outcome.stopped_by == "SIGINT" else 0
    nats = outcome.nats_per_sample
    report(f"{nats:.4f} nats per sample on the validation clips; model in {model}")
    return 0

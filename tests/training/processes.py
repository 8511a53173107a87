"""Runs of ``waveflow train`` in processes of their own: started, watched, killed."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import torch
import yaml

from tests.warm import WARM_PYTHON
from waveflow.cli import main

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "data" / "smoke"

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["waveflow.training.run", __name__])


def command(config, out, *options, data=CLIPS):
    """What follows ``waveflow``; the recipe is written beside the run."""
    recipe = out.with_name(f"{out.name}.yaml")
    recipe.write_text(yaml.safe_dump(config.to_dict()))
    words = ["train", recipe, "--data", data, "--out", out, "--device", "cpu", *options]
    return [str(word) for word in words]


def start(config, out, *options, data=CLIPS, launcher=(), start_new_session=False, **environment):
    """``waveflow train`` as a process of its own, one thread each.

    In a new session the interpreter is a new one as well: a signal to all reaches what it starts.
    """
    python = sys.executable if start_new_session else WARM_PYTHON
    words = command(config, out, *options, data=data)
    return subprocess.Popen(
        [*map(str, launcher or [python]), "-m", "waveflow", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=start_new_session,
    )


def fork(config, out, *options):
    """The same, of a process that has imported everything already: where many are started.

    What it says is in ``out`` with the suffix ``.log``.
    """
    arguments = command(config, out, *options)
    process = _FORKS.Process(target=_run, args=(arguments, out.with_suffix(".log")))
    process.start()
    return process


def _run(arguments, log):
    with log.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    torch.set_num_threads(1)
    sys.exit(main(arguments))

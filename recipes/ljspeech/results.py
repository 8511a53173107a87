"""The table at the end of ``train.sh``: what a run is, and what its model gives on test clips."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from waveflow.io.signals import INTERRUPTED, end_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_when_interrupted()  # while modules load

from waveflow import Vocoder
from waveflow.cli.messages import report
from waveflow.io.atomic import write_atomically
from waveflow.io.markdown import markdown_table, written
from waveflow.io.paths import as_path
from waveflow.io.text import read_json
from waveflow.io.yaml import read_yaml


def results(run: Path, command: str) -> str:
    """Write ``results.md`` into a run that was evaluated; its text."""
    recipe = read_yaml(run / "run.yaml")
    report = read_json(run / "evaluation.json")
    scores = report["all"]
    weights = Vocoder.from_pretrained(run / "model").parameters()
    row = {
        "model": f"`{recipe['model']['name']}`",
        "parameters": f"{sum(weight.numel() for weight in weights):,}",
        "steps": recipe["optimizer"]["max_steps"],
        "seed": recipe["run"]["seed"],
        "nats/sample": f"{scores['nats_per_sample']:.3f}",
        "PESQ-wb": written(scores["pesq"], "{:.2f}"),
        "STOI": written(scores["stoi"], "{:.3f}"),
        "MCD, dB": written(scores["mel_cepstral_distortion"], "{:.2f}"),
        "F0 error, cents": written(scores["f0_error"], "{:.1f}"),
        "× real time": f"{scores['times_real_time']:.1f}",
        "command": f"`{command}`",
    }
    table = markdown_table(list(row), [row.values()], left=("model", "command"))
    how = f"temperature {report['temperature']}, {report['consistency']} iterations of consistency"
    about = (
        f"{len(report['clips'])} test clips, copy synthesis at {how}; {report['device']}, "
        f"{report['threads']} threads{commit()}."
    )
    text = f"{table}\n\n{about}"
    write_atomically(run / "results.md", f"{text}\n".encode())
    return text


def commit() -> str:
    """The repository's commit, if there is one."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            [*git, "--exclude=*"], capture_output=True, text=True, check=True, timeout=60
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"; commit {done.stdout.strip()}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="folder of a run, evaluated to evaluation.json")
    parser.add_argument("--command", required=True, help="that made it, to stand in the table")
    arguments = parser.parse_args()
    raise_when_interrupted()
    try:
        report(results(as_path(arguments.run), arguments.command))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (ValueError, OSError) as error:
        sys.exit(f"results.py: error: {' '.join(str(error).split())}")

"""Models at equal data and equal training time: likelihood, quality, arithmetic and speed.

Every model is a recipe, or a recipe with some values set otherwise:

    python benchmarks/compare.py --data LJSPEECH --minutes 6 \
        recipes/ljspeech/glow.yaml wide=recipes/ljspeech/lapflow.yaml,model.channels=160

A training step is timed first, by the processor's clock on one thread, which another process
disturbs little; the number of steps is the time over that, and the learning rate reaches zero at
the last. Finished work is kept in OUT/NAME; the same command resumes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import yaml
from steps import Step

from waveflow import Vocoder
from waveflow.evaluation import evaluate
from waveflow.evaluation.flops import gmacs_per_second
from waveflow.io.atomic import write_atomically
from waveflow.io.markdown import markdown_table, written
from waveflow.io.text import read_json
from waveflow.training.config import TrainingConfig
from waveflow.training.run import DONE_FILE, RUN_FILE

CLIPS = Path(__file__).parents[1] / "data" / "clips"
STEPS_TIMED = 5


def main() -> None:
    """Train what is not trained, evaluate what is not evaluated, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", help="RECIPE, or NAME=RECIPE[,section.key=value ...]")
    parser.add_argument("--data", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    parser.add_argument("--minutes", type=float, default=6, help="of the processor, for each")
    parser.add_argument("--consistency", type=int, default=8, help="iterations, beside none")
    parser.add_argument("--again", action="store_true", help="evaluate again what was evaluated")
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folders = []
    for model in arguments.models:
        name, config = read_model(model)
        folders.append(arguments.out / name)
        train(config, folders[-1], arguments.data, arguments.minutes)
    torch.set_num_threads(threads)
    for folder in folders:
        if arguments.again or not (folder / "figures.json").is_file():
            figures = measure(folder, consistency=arguments.consistency)
            write_atomically(folder / "figures.json", json.dumps(figures, indent=2).encode())
    print(table(folders))


def read_model(text: str) -> tuple[str, TrainingConfig]:
    """``NAME=RECIPE,section.key=value`` as a name and a recipe."""
    first, *settings = text.split(",")
    name, _, recipe = first.rpartition("=")
    config = TrainingConfig.from_yaml(recipe)
    values = {key: yaml.safe_load(value) for key, value in (s.split("=") for s in settings)}
    return name or Path(recipe).stem, config.override(values)


def train(config: TrainingConfig, folder: Path, data: Path, minutes: float) -> None:
    """Train in ``folder``, unless that is done."""
    recipe = folder / "recipe.yaml"
    if not recipe.is_file():
        steps = int(60 * minutes / seconds_per_step(config))
        optimizer = replace(config.optimizer, max_steps=steps)
        run = replace(config.run, validate_every=steps, loggers=("csv",))
        content = replace(config, optimizer=optimizer, run=run).to_dict()
        recipe.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(recipe, yaml.safe_dump(content, sort_keys=False).encode())
    if not (folder / "run" / DONE_FILE).is_file():
        where = ["--data", str(data), "--out", str(folder / "run"), "--device", "cpu"]
        command = [sys.executable, "-m", "waveflow", "train", str(recipe), *where]
        subprocess.run(command, check=True, stdout=sys.stderr)


def seconds_per_step(config: TrainingConfig) -> float:
    """Of the processor, the median of a few steps on noise."""
    step = Step(config, "cpu")
    step()
    times = []
    for _ in range(STEPS_TIMED):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return median(times)


def measure(folder: Path, *, consistency: int) -> dict[str, Any]:
    """Every figure of a trained model."""
    run = yaml.safe_load((folder / "run" / RUN_FILE).read_text(encoding="utf-8"))
    done = read_json(folder / "run" / DONE_FILE)
    vocoder = Vocoder.from_pretrained(folder / "run" / "model")
    config = vocoder.config.mel
    mel = vocoder.mel(torch.zeros(1, config.sample_rate))
    seconds = mel.shape[-1] * config.hop_length / config.sample_rate
    figures = {
        "parameters": sum(parameter.numel() for parameter in vocoder.parameters()),
        "gmac_per_second": gmacs_per_second(lambda: vocoder(mel, consistency=0), seconds),
        "steps": run["optimizer"]["max_steps"],
        "validation_nats_per_sample": done["nats_per_sample"],
    }
    clips = sorted(CLIPS.glob("*.flac"))
    for iterations in (0, consistency):
        report = evaluate(
            vocoder, clips, temperature=0.8, consistency=iterations, seed=0, pitch=False
        )
        figures[f"consistency {iterations}"] = report.to_dict()["all"]
    return figures


def table(folders: list[Path]) -> str:
    """Markdown: a row a model, quality of the flow alone and behind it with consistency."""
    rows = []
    for folder in folders:
        figures = read_json(folder / "figures.json")
        plain, near = (value for key, value in figures.items() if key.startswith("consistency"))
        cells = [
            f"`{folder.name}`",
            f"{figures['parameters'] / 1e6:.2f} M",
            f"{figures['gmac_per_second']:.2f}",
            f"{figures['steps']}",
            f"{figures['validation_nats_per_sample']:.3f}",
            *(
                f"{written(plain[name], form)} → {written(near[name], form)}"
                for name, form in (
                    ("pesq", "{:.2f}"),
                    ("stoi", "{:.3f}"),
                    ("mel_cepstral_distortion", "{:.2f}"),
                )
            ),
            f"{plain['times_real_time']:.0f} → {near['times_real_time']:.0f}",
        ]
        rows.append(cells)
    names = ["model", "parameters", "GMAC/s", "steps", "nats/sample"]
    names += ["PESQ-wb", "STOI", "MCD, dB", "× real time"]
    return markdown_table(names, rows)


if __name__ == "__main__":
    main()

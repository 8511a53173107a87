"""Training steps measured: their time, their share of the machine's arithmetic, their memory.

``python benchmarks/train.py --reversible off,on`` prints a row for each combination of the options
that take several values.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from machine import copy_bandwidth
from steps import Step, model_flop, peak_memory, profile_step

from waveflow.cli.arguments import several
from waveflow.devices import DEVICES, choose_device
from waveflow.evaluation.bench.turns import fresh_process, in_turns
from waveflow.evaluation.peak import describe_machine, elapsed, matmul_peak
from waveflow.io.markdown import table_of_figures
from waveflow.training.config import ComputeConfig, TrainingConfig

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
WARM_UP = 3

COLUMNS = {
    "model": ("model", "{}"),
    "flows": ("flows", "{}"),
    "crops": ("batch, crops", "{}"),
    "samples": ("samples a crop", "{}"),
    "precision": ("precision", "{}"),
    "reversible": ("reversible", "{}"),
    "compile": ("compile", "{}"),
    "ms": ("ms a step", "{:.1f}"),
    "ms_iqr": ("interquartile range, ms", "{:.1f}"),
    "samples_per_s": ("samples/s", "{:.0f}"),
    "model_gflop": ("model GFLOP a step", "{:.1f}"),
    "gflop_per_s": ("GFLOP/s", "{:.1f}"),
    "matmul_gflop_per_s": ("matmul peak, GFLOP/s", "{:.0f}"),
    "share_of_peak": ("share of peak", "{:.1%}"),
    "peak_mb": ("peak memory, MB", "{:.0f}"),
    "state_mb": ("of it state, MB", "{:.0f}"),
    "rss_mb": ("peak RSS, MB", "{:.0f}"),
}
"""Heading and format of every figure. MB are millions of bytes."""


def variants(options: argparse.Namespace) -> Iterator[TrainingConfig]:
    """One recipe for each combination of the options."""
    base = _base(options)
    frames = math.ceil(options.samples / base.mel.hop_length) if options.samples else None
    size = {"batch_size": options.batch, "segment_frames": frames}
    data = replace(base.data, **{key: value for key, value in size.items() if value})
    for flows, precision, reversible, mode in product(
        options.flows or [None], options.precision, options.reversible, options.compile
    ):
        compute = ComputeConfig(
            precision=PRECISIONS[precision],  # type: ignore[arg-type]
            reversible=reversible == "on",
            compile=None if mode == "off" else mode,
        )
        model = replace(base.model, **({"flows": flows} if flows else {}))
        yield replace(base, model=model, data=data, compute=compute)


def _base(options: argparse.Namespace) -> TrainingConfig:
    sizes = {key: getattr(options, key) for key in ("channels", "layers") if getattr(options, key)}
    if options.model is None:
        recipe = TrainingConfig.from_yaml(options.recipe)
        return replace(recipe, model=replace(recipe.model, **sizes))
    model = {"name": options.model, **sizes}
    return TrainingConfig.from_dict({"model": model, "mel": "hifigan-22k"})


def describe_variant(config: TrainingConfig) -> dict[str, Any]:
    """The columns that say what is measured."""
    model, compute = config.to_dict()["model"], config.compute
    return {
        "model": f"{model['name']}-{model['channels']}",
        "flows": model["flows"],
        "crops": config.data.batch_size,
        "samples": config.data.segment_frames * config.mel.hop_length,
        "precision": next(short for short, name in PRECISIONS.items() if name == compute.precision),
        "reversible": "on" if compute.reversible else "off",
        "compile": compute.compile or "off",
    }


def measure_memory(config: TrainingConfig, device: str) -> dict[str, float]:
    """In a process of its own, so that what that takes is what this variant takes."""
    with fresh_process() as pool:
        found = pool.submit(peak_memory, config, device, torch.get_num_threads()).result()
    return {f"{name}_mb": size / 1e6 for name, size in found.items()}


def rates(config: TrainingConfig, times: list[float], peak: float) -> dict[str, float]:
    """What follows from the times of a variant and the best rate of a matrix product."""
    low, ms, high = statistics.quantiles(times, n=4) if len(times) > 1 else 3 * times
    gflop = model_flop(replace(config, compute=ComputeConfig())) / 1e9
    samples = config.data.batch_size * config.data.segment_frames * config.mel.hop_length
    return {
        "ms": ms,
        "ms_iqr": high - low,
        "samples_per_s": 1000 * samples / ms,
        "model_gflop": gflop,
        "gflop_per_s": 1000 * gflop / ms,
        "matmul_gflop_per_s": peak / 1e9,
        "share_of_peak": 1000 * gflop / ms / (peak / 1e9),
    }


def main() -> None:
    """Measure, and print the table."""
    options = _options()
    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    configs = list(variants(options))
    rows = [describe_variant(config) for config in configs]
    if not options.no_memory:  # before this process grows: a new one inherits its peak RSS
        for row, config in zip(rows, configs, strict=True):
            row.update(measure_memory(config, device))
    if options.repeats:
        peak = partial(matmul_peak, device, repeats=min(options.repeats, 7))
        before = {precision: peak(precision) for precision in options.precision}
        works = [partial(elapsed, Step(config, device), device) for config in configs]
        times = in_turns(works, options.repeats, warm_up=WARM_UP)
        after = {precision: peak(precision) for precision in options.precision}
        peaks = {precision: max(before[precision], after[precision]) for precision in before}
        for row, config, measured in zip(rows, configs, times, strict=True):
            row.update(rates(config, [1000 * took for took in measured], peaks[row["precision"]]))
    print(f"{describe_machine(device)}; copies {copy_bandwidth(device) / 1e9:.1f} GB/s\n")
    print(table_of_figures(rows, COLUMNS))
    if options.profile:
        for config in configs:
            print(f"\n{describe_variant(config)}\n\n{profile_step(Step(config, device))}")
    if options.json:
        options.json.write_text(
            json.dumps({"machine": describe_machine(device), "rows": rows}, indent=1)
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="recipes/ljspeech/lapflow_hq.yaml")
    parser.add_argument("--model", choices=("lapflow", "waveglow"), help="instead of a recipe")
    parser.add_argument("--channels", type=int, help="hidden channels of a coupling")
    parser.add_argument("--layers", type=int, help="gated layers of a coupling")
    parser.add_argument("--flows", type=several(int), help="6,12,...")
    parser.add_argument("--batch", type=int, help="crops a step")
    parser.add_argument("--samples", type=int, help="of a crop, rounded up to whole mel frames")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--precision", type=several(str), default="fp32", help="fp32,bf16")
    parser.add_argument("--reversible", type=several(str), default="off", help="off,on")
    parser.add_argument("--compile", type=several(str), default="off", help="off,default,...")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=20, help="timed steps; 0 times none")
    parser.add_argument("--no-memory", action="store_true", help="measure time alone")
    parser.add_argument("--profile", action="store_true", help="say where a step's time goes")
    parser.add_argument("--json", type=Path, help="file to write the figures to as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()

"""Measure speed, latency and memory of synthesis on this machine.

Prints Markdown: a row for each engine, number of threads, batch and length, and a row for each
chunk size of a stream. ENGINES is a comma-separated list of

engine    vocoder(mel), the usual synthesis
plain     the model's modules, run by torch
compile   the model's modules, run by torch.compile; needs a C++ compiler
onnx      the file of `waveflow export onnx`; needs pip install 'waveflow[onnx]'
openvino  the file of `waveflow export onnx`; needs pip install openvino

Each engine runs in its own process for each number of threads; the processes take turns. Speeds
are medians and quartiles, in seconds of audio per second, over the whole batch. The share of the
peak compares with the best fp32 matrix product in the same run. Memory is the growth of the
process (RSS) during the first call of that length; before it, the model is loaded and has
synthesised a tenth of a second. The memory of compile includes the compiler. "First audio" is the
time from the first chunk of a stream to the first sound, if each chunk arrives as soon as it is
requested. If chunks arrive at the pace of speech, add the look-ahead. A stream runs in real time if
95 of 100 chunks take less time than their sound lasts. The load of other programs on the machine
is measured too.

Examples:
  waveflow bench
  waveflow bench --engines engine,plain,onnx --threads 1,2 --seconds 1,10,60 --batch 1,4
  waveflow bench --model ljspeech-nano --chunks 8,16,32 --json bench.json
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from waveflow.cli.arguments import (
    add_consistency,
    add_device,
    add_model,
    load_vocoder,
    number,
    several,
)
from waveflow.cli.files import check_output
from waveflow.cli.messages import deliver, report
from waveflow.devices import choose_device

SUMMARY = "measure speed, latency and memory of synthesis on this machine"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    add_model(parser)
    add_device(parser)
    whole, length = several(number(int, low=1)), several(number(float))
    parser.add_argument(
        "--engines",
        type=several(str),
        default="engine,plain",
        help="engines to measure (default: engine,plain)",
    )
    parser.add_argument(
        "--seconds", type=length, default="2,10", help="seconds of audio in a mel (default: 2,10)"
    )
    parser.add_argument("--batch", type=whole, default="1", help="mels in a call (default: 1)")
    parser.add_argument(
        "--threads", type=whole, help="CPU threads (default: as many as torch uses)"
    )
    parser.add_argument(
        "--chunks",
        type=whole,
        default="16,64",
        help="mel frames in a chunk of a stream (default: 16,64)",
    )
    parser.add_argument(
        "--rounds",
        type=number(int, low=1),
        default=10,
        help="timed calls of each variant (default: 10)",
    )
    add_consistency(parser)
    parser.add_argument(
        "--no-memory",
        action="store_true",
        help="do not measure memory; saves a process for each row",
    )
    parser.add_argument("--json", metavar="FILE", help="also write all figures to this file")


def run(arguments: Namespace) -> int:
    """Print the tables, and write the figures to ``--json``; the result is the exit code."""
    if arguments.json is not None:
        check_output("--json", arguments.json)

    import torch

    from waveflow.evaluation.bench import Plan, bench, to_markdown
    from waveflow.io.atomic import write_atomically

    plan = Plan(
        arguments.model,
        engines=arguments.engines,
        threads=arguments.threads or (torch.get_num_threads(),),
        batches=arguments.batch,
        seconds=arguments.seconds,
        chunks=arguments.chunks,
        rounds=arguments.rounds,
        consistency=arguments.consistency,
        device=choose_device(arguments.device),
        memory=not arguments.no_memory,
    )
    load_vocoder(plan.model)  # reports a faulty model at once
    results = bench(plan, progress=True)
    if arguments.json is not None:
        figures = {"model": plan.model, "device": plan.device, **results}
        write_atomically(arguments.json, f"{json.dumps(figures, indent=1)}\n".encode())
    (deliver if arguments.json is None else report)(to_markdown(results))
    return 0 if results["rows"] else 1

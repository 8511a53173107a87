"""Measure a model on recordings: likelihood, quality, intelligibility, speed.

Prints a Markdown table. Each recording is scored by its exact likelihood. Its copy synthesis is
compared with it by wide-band PESQ (1 to 4.64), STOI (up to 1), mel-cepstral distortion, pitch error
and F1 of voicing; REPORT.json has more figures. The speed is that of synthesis alone.
Needs: pip install 'waveflow[evaluate]'.

--quality adds judges that a matched mel alone does not satisfy: predicted opinion and the
periodicity of the voice, for the copies and for the recordings.
Needs: pip install 'waveflow[evaluate,quality]'.

Examples:
  waveflow evaluate data/clips
  waveflow evaluate data/clips --baseline --quality
  waveflow evaluate data/clips --baseline --page listen
  waveflow evaluate LJSpeech-1.1 --split data/splits/ljspeech_test.txt -o report.json
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from waveflow.cli import messages
from waveflow.cli.arguments import add_model, add_synthesis, load_vocoder
from waveflow.cli.files import check_output, choose_clips
from waveflow.devices import choose_device
from waveflow.io.signals import loading

SUMMARY = "measure likelihood, quality, pitch and speed on recordings"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "files", nargs="+", metavar="FOLDER_OR_FILE", help="recordings, or folders of them"
    )
    parser.add_argument(
        "--split", metavar="LIST", help="file of clip ids, one per line; only these are evaluated"
    )
    parser.add_argument(
        "-o", "--out", metavar="REPORT.json", help="also write all figures to this file"
    )
    parser.add_argument(
        "--page", metavar="FOLDER", help="write a page with sounds and spectrograms to this folder"
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="also score Griffin-Lim on the same mels, and white noise with the same iterations",
    )
    parser.add_argument(
        "--quality",
        action="store_true",
        help="also compute DistillMOS, DNSMOS, CREPE and band periodicity; takes minutes",
    )
    parser.add_argument(
        "--no-pitch",
        action="store_true",
        help="do not track pitch by pYIN, the slowest of the default figures",
    )
    add_model(parser)
    add_synthesis(parser)


def run(arguments: Namespace) -> int:
    """Print the table, and write ``--out`` and ``--page``; the result is the exit code."""
    paths = choose_clips([Path(file) for file in arguments.files], arguments.split)
    if arguments.out is not None:
        check_output("--out", arguments.out, ".json")

    with loading():
        from waveflow.evaluation import (
            Report,
            evaluate,
            evaluate_baseline,
            evaluate_noise,
            write_page,
        )
        from waveflow.evaluation.baseline import GRIFFIN_LIM
        from waveflow.evaluation.white_noise import WHITE_NOISE
        from waveflow.io.atomic import write_atomically

    vocoder = load_vocoder(arguments.model).to(choose_device(arguments.device))
    options: dict[str, Any] = {
        "seed": arguments.seed,
        "pitch": not arguments.no_pitch,
        "quality": arguments.quality,
        "progress": True,
    }
    report = evaluate(
        vocoder,
        paths,
        temperature=arguments.temperature,
        consistency=arguments.consistency,
        **options,
    )
    baselines: dict[str, Report] = {}
    if arguments.baseline:
        mel, groups = vocoder.config.mel, vocoder.config.model.groups
        baselines = {
            GRIFFIN_LIM: evaluate_baseline(paths, mel, groups=groups, **options),
            WHITE_NOISE: evaluate_noise(
                vocoder, paths, consistency=arguments.consistency, **options
            ),
        }
    if arguments.out is not None:
        write_atomically(arguments.out, f"{report.to_json(baselines)}\n".encode())
    is_kept = arguments.out is not None or arguments.page is not None
    show = messages.report if is_kept else messages.deliver
    show(report.to_table(baselines))
    if arguments.page is not None:
        write_page(arguments.page, report, vocoder, baselines=baselines)
    return 0

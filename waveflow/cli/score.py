"""Compute the exact log-likelihood of recordings; prints a line of JSON for each.

"nats_per_sample" is the log-density of the audio given its mel, divided by the number of samples:
higher is likelier. "bits_per_sample" is an upper bound on the cost to encode the 16-bit samples:
lower is likelier. The figures do not depend on a seed or on the other FILEs.
FILE may be "-" for stdin.

Examples:
  waveflow score clips/*.flac
  waveflow score speech.wav --model run/model | jq .bits_per_sample
"""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from waveflow.cli.arguments import add_device, add_model, load_vocoder
from waveflow.cli.files import for_each_file, regular_file
from waveflow.cli.messages import deliver
from waveflow.devices import choose_device

SUMMARY = "compute the exact log-likelihood of recordings"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings, or - for stdin")
    add_model(parser)
    add_device(parser)


def run(arguments: Namespace) -> int:
    """Print the scores of every file; the result is the exit code."""
    from waveflow.audio import LogMel
    from waveflow.evaluation import nats_per_sample, read_recording
    from waveflow.evaluation.recording import bits_per_sample

    vocoder = load_vocoder(arguments.model).to(choose_device(arguments.device))
    log_mel = LogMel(vocoder.config.mel)

    def score(file: Path, name: str) -> None:
        with regular_file(file) as path:
            recording = read_recording(path, log_mel)
        nats = nats_per_sample(vocoder, recording)
        scores = {
            "file": name,
            "seconds": len(recording.audio) / log_mel.config.sample_rate,
            "nats_per_sample": nats,
            "bits_per_sample": bits_per_sample(nats),
        }
        deliver(json.dumps(scores))

    return for_each_file([Path(file) for file in arguments.files], score, arguments.files)

"""Recordings to mel spectrograms, as a model reads them.

A recording is resampled to the model's rate and cut to whole hops. Its mel is float32,
(n_mels, frames), natural log. An .npz holds it as "mel" and beside it, as "config", how it
was made (JSON), which `waveflow vocode` checks; .npy and .pt hold the mel alone.

Examples:
  waveflow mel speech.wav -o speech.npy
  waveflow mel clips/*.flac -o mels/
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from waveflow.cli.arguments import add_model, add_out, load_vocoder
from waveflow.cli.files import MEL_OUTPUTS, each, plan_outputs

SUMMARY = "recordings to mel spectrograms"


def describe(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    add_out(parser, "file (.npz, .npy, .pt) of a single FILE, or folder for <stem>.npz of each")
    add_model(parser)


def work(arguments: Namespace) -> int:
    """Write the mel of every file; the result is the exit code."""
    files = [Path(file) for file in arguments.files]
    outputs = plan_outputs(files, arguments.out, MEL_OUTPUTS)

    from waveflow.audio import LogMel
    from waveflow.evaluation import read_recording
    from waveflow.mel_file import write_mel

    log_mel = LogMel(load_vocoder(arguments.model).config.mel)

    def convert(file: Path, output: Path) -> None:
        mel = read_recording(file, log_mel).mel
        output.parent.mkdir(parents=True, exist_ok=True)
        write_mel(output, mel, log_mel.config)

    return each(files, convert, outputs)

"""Compute the mel spectrograms that a model reads from recordings.

A recording is resampled to the model's rate and cut to whole hops. Its mel is float32,
(n_mels, frames), natural log. An .npz file holds the mel as "mel" and its convention as "config"
(JSON), which `waveflow vocode` checks; .npy and .pt files hold the mel alone.

--convention writes the mel of another project's front end (decimal logarithms, frames first, and so
on) to .npy or .pt; docs/mel_conventions.md has the table.

FILE may be "-" for stdin. OUT may be "-" for stdout: an .npz, or an .npy with --convention.

Examples:
  waveflow mel speech.wav -o speech.npy
  waveflow mel clips/*.flac -o mels/
  cat speech.wav | waveflow mel - -o - > speech.npz
  waveflow mel speech.wav -o speech.npy --convention espnet-22k
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from waveflow.cli.arguments import add_model, add_out, load_vocoder
from waveflow.cli.files import for_each_file, output_file, plan_outputs, regular_file
from waveflow.io.folders import MELS

SUMMARY = "compute mel spectrograms from recordings"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings")
    add_out(parser, "file (.npz, .npy, .pt) of a single FILE, or folder for <stem>.npz of each")
    add_model(parser)
    parser.add_argument(
        "--convention",
        metavar="NAME",
        help="convention to write, such as espnet-22k (default: the model's own)",
    )


def run(arguments: Namespace) -> int:
    """Write the mel of every file; the result is the exit code."""
    import torch

    from waveflow.audio import LogMel
    from waveflow.audio.mel_file import write_mel
    from waveflow.audio.reading import read_audio_pieces
    from waveflow.inference.mel import mel_pieces
    from waveflow.interop.convention import MelConvention
    from waveflow.interop.mels import convention

    name = arguments.convention
    written = convention(load_vocoder(arguments.model).config.mel if name is None else name)
    plain = name is None or written == MelConvention(written.front_end, used_by=written.used_by)
    files = [Path(file) for file in arguments.files]
    suffixes = MELS if plain else MELS[1:]
    outputs = plan_outputs(files, arguments.out, suffixes)
    log_mel = LogMel(written.front_end)

    def make(file: Path, output: Path) -> None:
        with regular_file(file) as recording:
            audio = read_audio_pieces(recording, log_mel.config.sample_rate)
            mel = written.write(torch.cat(list(mel_pieces(audio, log_mel)), dim=1))
        with output_file(output, suffixes[0]) as path:
            write_mel(path, mel, written.front_end)

    return for_each_file(files, make, outputs)

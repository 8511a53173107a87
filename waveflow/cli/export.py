"""Write a model as one file that runs without waveflow: mel in, audio out.

The file contains the whole synthesis in float32, for any batch and length: "mel" is
(batch, n_mels, frames), natural log; "audio" is (batch, frames * hop_length). FORMAT is

onnx: plain operators of opset 18, for ONNX Runtime and others. The metadata of the file describe
the mel that it reads. With --noise graph every run draws new noise, and sherpa-onnx loads the file
as a "hifigan" vocoder. With --noise input the noise is the second input "noise",
(batch, frames * hop_length), standard normal. Needs: pip install 'waveflow[onnx]'.

torch: a program for torch.export.load, with the inputs mel and noise, for 3 frames or more.

docs/deployment.md has examples that run these files.

Examples:
  waveflow export onnx -o ljspeech.onnx
  waveflow export onnx -o calm.onnx --model run/model --temperature 0.5 --noise input
  waveflow export torch -o ljspeech.pt2
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from waveflow.cli.arguments import add_consistency, add_model, add_temperature, load_vocoder
from waveflow.cli.files import check_output
from waveflow.cli.messages import report

SUMMARY = "export a model as an ONNX file or a torch program"

_SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("format", choices=tuple(_SUFFIXES), metavar="FORMAT", help="onnx or torch")
    parser.add_argument(
        "-o", "--out", required=True, metavar="OUT", help="file to write, .onnx or .pt2"
    )
    add_model(parser)
    add_temperature(parser)
    add_consistency(parser)
    parser.add_argument(
        "--noise",
        choices=("graph", "input"),
        help="noise drawn in the graph, or an input (default for onnx: graph; torch always takes "
        "an input)",
    )


def run(arguments: Namespace) -> int:
    """Write the file; the result is the exit code."""
    check_output("--out", arguments.out, _SUFFIXES[arguments.format])
    if arguments.format == "torch" and arguments.noise == "graph":
        raise ValueError("--noise: expected input for a torch program; got graph")

    from waveflow.export.onnx import export_onnx, export_torch

    out, vocoder = Path(arguments.out), load_vocoder(arguments.model)
    options = {"temperature": arguments.temperature, "consistency": arguments.consistency}
    if arguments.format == "onnx":
        export_onnx(vocoder, out, noise=arguments.noise or "graph", **options)
    else:
        export_torch(vocoder, out, **options)
    report(f"wrote {out.stat().st_size / 1e6:.1f} megabytes to {out}")
    return 0

"""Write a model as one file that runs without waveflow: mel in, audio out.

The whole synthesis is in the graph, in float32, for any batch and length: "mel" is
(batch, n_mels, frames), natural log, "audio" is (batch, frames * hop_length). FORMAT is

onnx: plain operators of opset 17, for ONNX Runtime and others; the file tells in its metadata
which mel it reads. With --noise graph the noise is drawn anew on every run, and sherpa-onnx
takes the file for a "hifigan" vocoder; with --noise input it is the second input "noise",
(batch, frames * hop_length), standard normal. Needs: pip install 'waveflow[onnx]'.

torch: a program for torch.export.load, of mel and noise, of 3 frames or more.

docs/deployment.md has examples that run them.

Examples:
  waveflow export onnx -o ljspeech.onnx
  waveflow export onnx -o calm.onnx --model run/model --temperature 0.5 --noise input
  waveflow export torch -o ljspeech.pt2
"""

from __future__ import annotations

from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from waveflow.cli.arguments import add_model, iterations, load_vocoder, number
from waveflow.cli.messages import report

SUMMARY = "a model as an ONNX file or a torch program"

_SUFFIXES = {"onnx": ".onnx", "torch": ".pt2"}


def describe(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("format", choices=tuple(_SUFFIXES), metavar="FORMAT", help="onnx or torch")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="file, .onnx or .pt2")
    add_model(parser)
    parser.add_argument(
        "--temperature",
        type=number(float),
        metavar="T",
        help="factor of the noise (default: the model's own)",
    )
    parser.add_argument(
        "--consistency",
        type=iterations,
        metavar="N",
        help="iterations that bring the sound nearer to the mel (default: the model's own)",
    )
    parser.add_argument(
        "--noise",
        choices=("graph", "input"),
        help="onnx: drawn inside, or an input (default: graph); torch: an input",
    )


def work(arguments: Namespace) -> int:
    """Write the file; the result is the exit code."""
    suffix = _SUFFIXES[arguments.format]
    out = Path(arguments.out)
    if out.suffix.lower() != suffix:
        raise ValueError(f"--out: expected a file in {suffix}; got {out}")
    if arguments.format == "torch" and arguments.noise == "graph":
        raise ValueError("--noise: expected input for a torch program; got graph")

    from waveflow.export.onnx import export_onnx, export_torch

    vocoder = load_vocoder(arguments.model)
    options = {"temperature": arguments.temperature, "consistency": arguments.consistency}
    if arguments.format == "onnx":
        export_onnx(vocoder, out, noise=arguments.noise or "graph", **options)
    else:
        export_torch(vocoder, out, **options)
    report(f"{out.stat().st_size / 1e6:.1f} megabytes in {out}")
    return 0

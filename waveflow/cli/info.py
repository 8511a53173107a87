"""Describe the installation and a model, as YAML.

The arithmetic is that of synthesis in billions of multiply-accumulates (GMAC): convolutions and
matrix products, without FFTs and elementwise operations. In a stream, audio is at most look_ahead
behind the mel that has arrived. A sample depends on nothing more than look_back before it.

Examples:
  waveflow info
  waveflow info run/model
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from waveflow.cli.arguments import DEFAULT_MODEL, load_vocoder
from waveflow.cli.messages import deliver
from waveflow.version import __version__

SUMMARY = "show versions, bundled models, and the figures of a model"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "model",
        nargs="?",
        default=DEFAULT_MODEL,
        metavar="MODEL",
        help="bundled name, folder of a model, or id on the Hugging Face hub "
        "(default: %(default)s)",
    )


def run(arguments: Namespace) -> int:
    """Print the description; the result is the exit code."""
    import torch

    from waveflow.evaluation import gmacs_per_second
    from waveflow.pretrained.hub import bundled

    _show({"waveflow": __version__, "torch": str(torch.__version__), "bundled": bundled()})
    vocoder = load_vocoder(arguments.model)
    weights = vocoder.state_dict().values()
    mel_config = vocoder.config.mel
    mel = vocoder.mel(torch.zeros(1, mel_config.sample_rate, dtype=torch.float32, device="cpu"))
    seconds = mel.shape[-1] * mel_config.hop_length / mel_config.sample_rate
    engine, synthesis = vocoder.engine(), vocoder.config.synthesis
    gmacs = gmacs_per_second(lambda: vocoder(mel, seed=0, mel_config=mel_config), seconds)
    _show(
        {
            "model": arguments.model,
            "parameters": sum(weight.numel() for weight in vocoder.parameters()),
            "megabytes": round(sum(weight.nbytes for weight in weights) / 1e6, 2),
            "arithmetic": f"{gmacs:.2f} GMAC per second of audio (synthesis)",
            "look_ahead": _duration(engine.look_ahead(synthesis), mel_config.sample_rate),
            "look_back": _duration(engine.look_back(synthesis), mel_config.sample_rate),
            "first_audio": f"after {engine.first_frames(synthesis)} mel frames",
            "sample_rate": mel_config.sample_rate,
            "hop_length": mel_config.hop_length,
            "config": vocoder.config.to_dict(),
        }
    )
    return 0


def _duration(samples: int | None, sample_rate: int) -> str:
    if samples is None:
        return "unlimited"
    return f"{samples / sample_rate:.3f} s ({samples} samples)"


def _show(values: dict[str, Any]) -> None:
    import yaml

    deliver(yaml.safe_dump(values, sort_keys=False).rstrip())

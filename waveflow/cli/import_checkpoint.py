"""Import a checkpoint of NVIDIA's WaveGlow as the folder of a vocoder.

FILE is a file of torch.save in any version (checkpoints of NVIDIA/waveglow, glow_old and
DeepLearningExamples, whole modules or state dicts), a .nemo archive, or a .safetensors file.
Nothing in the file is run, and its classes need not be installed: an object that is not a tensor is
refused by name.

The folder is loaded again and compared in float64 with a plain evaluation of the checkpoint's own
tensors. It is kept only if they agree. See docs/importing.md.

Examples:
  waveflow import waveglow_256channels_universal_v5.pt -o waveglow
  waveflow import waveglow_state.pt -o waveglow --family glow_old
  waveflow vocode mel.npz -o speech.wav --model waveglow
"""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from waveflow.cli.arguments import add_out
from waveflow.cli.messages import report
from waveflow.interop.families import FAMILIES

SUMMARY = "import a WaveGlow checkpoint safely"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("file", metavar="FILE", help="checkpoint")
    add_out(parser, "folder for config.yaml and model.safetensors")
    parser.add_argument(
        "--family",
        choices=tuple(FAMILIES),
        help="project of the checkpoint (default: detected; a state dict of glow_old cannot be "
        "detected)",
    )
    parser.add_argument(
        "--mel",
        metavar="CONVENTION",
        help="its mel convention (default: that of the file if it has one, else nvidia-22k)",
    )


def run(arguments: Namespace) -> int:
    """Write the folder and print a summary; the result is the exit code."""
    import yaml

    from waveflow.audio.mel import MelConfig
    from waveflow.interop.importing import import_checkpoint

    mel = MelConfig.named(arguments.mel) if arguments.mel is not None else None
    imported = import_checkpoint(arguments.file, arguments.out, family=arguments.family, mel=mel)
    vocoder = imported.vocoder
    values = {
        "family": f"{imported.family} ({FAMILIES[imported.family].description})",
        "parameters": sum(parameter.numel() for parameter in vocoder.parameters()),
        "difference": {name: f"{value:.1e}" for name, value in imported.differences.items()},
        "config": vocoder.config.to_dict(),
        "folder": str(arguments.out),
    }
    report(yaml.safe_dump(values, sort_keys=False, width=100).rstrip())
    return 0

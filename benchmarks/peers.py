"""Waveflow's vocoders beside Vocos and HiFi-GAN: who they are, and how they are measured.

``cpu_peers.py`` and ``gpu_peers.py`` run this. It needs the peers: ``pip install
'waveflow[peers]'``. They have their published sizes and random weights, for speed does not depend
on those, and read the 80 mel bands of 22.05 kHz that waveflow's bundled vocoders read:

- Vocos is that of its 24 kHz mel model, but for 80 bands in place of 100 and the lower rate. It
  centres its frames, and so makes one hop less of a mel than the others.
- HiFi-GAN V1 and V2 are ``SpeechT5HifiGan`` of transformers, without its normalisation of the mel;
  weight norm is folded away. V3 is the same with the one convolution a dilation that its second
  type of residual block has, where ``SpeechT5HifiGan`` has two.

Waveflow's are called with their own defaults; "NAME, plain" is the same model as torch runs its
modules, ``vocoder.decode`` and then mel consistency. With ``--waveglow`` the public WaveGlow's
sizes with random weights are measured as well, in a few rounds of their own.

All take their turns once a round, in a new random order each round, so that a drift of the machine
affects all. A speed is the audio made, all of a batch together, over the time it took; the
quartiles are those of the rounds; the ratio to Vocos is the median over rounds of the ratio within
one. Multiply-accumulates are those of convolutions and matrix products, not of FFTs and elementwise
work. The peak is that of a matrix product in fp32.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from waveflow import Vocoder, VocoderConfig
from waveflow.audio.mel import MelConfig
from waveflow.cli.arguments import number
from waveflow.config import WaveGlowConfig
from waveflow.evaluation.bench.engines import plain
from waveflow.evaluation.bench.turns import in_turns, speeds
from waveflow.evaluation.bench.worker import mel_of_noise
from waveflow.evaluation.flops import gmacs_per_second
from waveflow.evaluation.peak import describe_machine, elapsed, matmul_peak
from waveflow.io.markdown import table_of_figures
from waveflow.pretrained.hub import bundled

WARM_UP = 3
MEL = MelConfig.named("hifigan-22k")
VOCOS = "Vocos"
OURS = "waveflow "
WAVEGLOW_ROUNDS = 3
AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}

HIFIGANS: dict[str, dict[str, Any]] = {
    "HiFi-GAN V1": {
        "upsample_initial_channel": 512,
        "upsample_rates": [8, 8, 2, 2],
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    },
    "HiFi-GAN V2": {
        "upsample_initial_channel": 128,
        "upsample_rates": [8, 8, 2, 2],
        "upsample_kernel_sizes": [16, 16, 4, 4],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    },
    "HiFi-GAN V3": {
        "upsample_initial_channel": 256,
        "upsample_rates": [8, 8, 4],
        "upsample_kernel_sizes": [16, 16, 8],
        "resblock_kernel_sizes": [3, 5, 7],
        "resblock_dilation_sizes": [[1, 2], [2, 6], [3, 12]],
    },
}
"""The generators of the paper, https://arxiv.org/abs/2010.05646, by transformers' names."""

COLUMNS = {
    "vocoder": ("vocoder", "{}"),
    "parameters": ("parameters, M", "{:.2f}"),
    "gmac_per_s": ("GMAC a second of audio", "{:.2f}"),
    "speed": ("× real time", "{:.1f}"),
    "speed_low": ("lower quartile", "{:.1f}"),
    "speed_high": ("upper quartile", "{:.1f}"),
    "to_vocos": ("× Vocos", "{:.2f}"),
    "share_of_peak": ("share of matmul peak", "{:.1%}"),
}
"""Heading and format of every figure."""


@dataclass(frozen=True)
class Entry:
    """A vocoder bound to the mel it reads."""

    name: str
    vocoder: nn.Module
    synthesise: Callable[[], Tensor]
    sample_rate: int

    def seconds(self) -> float:
        """Of audio that a call makes, all of a batch together."""
        return self.synthesise().numel() / self.sample_rate

    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.vocoder.parameters())


class OneConvolution(nn.Module):
    """HiFi-GAN's second type of residual block: one convolution a dilation."""

    def __init__(self, convolutions: nn.ModuleList):
        super().__init__()
        self.convolutions = convolutions

    def forward(self, x: Tensor) -> Tensor:
        for convolution in self.convolutions:
            x = x + convolution(leaky_relu(x, 0.1))
        return x


def ours(name: str, prefix: str, vocoder: Vocoder, options: argparse.Namespace) -> list[Entry]:
    """A waveflow vocoder, called with its own defaults, and as torch runs its modules."""
    vocoder.eval().to(options.device)
    config = vocoder.config
    mel = mel_of_noise(config.mel, options.batch, options.seconds).to(options.device)
    ways = {
        prefix + name: partial(vocoder, mel, seed=0),
        f"{name}, plain": partial(plain, vocoder, mel, config.synthesis),
    }
    return [Entry(key, vocoder, way, config.mel.sample_rate) for key, way in ways.items()]


def waveglow(options: argparse.Namespace) -> list[Entry]:
    """The public WaveGlow's sizes, with random weights."""
    torch.manual_seed(0)
    vocoder = Vocoder(VocoderConfig(model=WaveGlowConfig(), mel=MEL))
    return ours(f"WaveGlow-{WaveGlowConfig().channels}", "", vocoder, options)


def peers(options: argparse.Namespace) -> list[Entry]:
    """Vocos and the HiFi-GANs in fp32, and, if asked for, in another precision."""
    entries = full_precision_peers(
        mel_of_noise(MEL, options.batch, options.seconds).to(options.device)
    )
    if options.autocast == "off":
        return entries
    dtype = AUTOCAST[options.autocast]
    context = torch.autocast(options.device, dtype)
    cast = [
        Entry(
            f"{entry.name}, {options.autocast}",
            entry.vocoder,
            context(entry.synthesise),
            entry.sample_rate,
        )
        for entry in entries
    ]
    return [*entries, *cast]


def full_precision_peers(mel: Tensor) -> list[Entry]:
    """Vocos and the HiFi-GANs, with random weights, where the mel is."""
    try:
        from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig
        from vocos import Vocos
        from vocos.heads import ISTFTHead
        from vocos.models import VocosBackbone
    except ImportError as error:
        raise SystemExit(f"the peers need pip install 'waveflow[peers]' ({error})") from error

    torch.manual_seed(0)
    bands, hop = MEL.n_mels, MEL.hop_length
    backbone = VocosBackbone(input_channels=bands, dim=512, intermediate_dim=1536, num_layers=8)
    head = ISTFTHead(dim=512, n_fft=1024, hop_length=hop, padding="center")
    vocos = Vocos(nn.Identity(), backbone, head).eval().to(mel.device)
    entries = [Entry(VOCOS, vocos, partial(vocos.decode, mel), MEL.sample_rate)]
    for name, sizes in HIFIGANS.items():
        config = SpeechT5HifiGanConfig(
            **sizes, model_in_dim=bands, sampling_rate=MEL.sample_rate, normalize_before=False
        )
        hifigan = SpeechT5HifiGan(config).eval().to(mel.device)
        if name == "HiFi-GAN V3":
            blocks = [OneConvolution(block.convs1) for block in hifigan.resblocks]
            hifigan.resblocks = nn.ModuleList(blocks)
        synthesise = torch.inference_mode()(partial(hifigan, mel.mT.contiguous()))
        entries.append(Entry(name, hifigan, synthesise, MEL.sample_rate))
    return entries


def compare(
    entries: Sequence[Entry], rounds: int, device: str
) -> tuple[list[dict[str, Any]], float]:
    """A row for each vocoder, and FLOP/s of the best matrix product."""
    seconds = [entry.seconds() for entry in entries]
    before = matmul_peak(device, "fp32")
    works = [partial(elapsed, entry.synthesise, device) for entry in entries]
    times = in_turns(works, rounds, warm_up=WARM_UP)
    peak = max(before, matmul_peak(device, "fp32"))
    each = np.array(seconds)[:, None] / np.array(times)
    vocos = each[[entry.name for entry in entries].index(VOCOS)]
    rows = []
    for entry, made, took, speed in zip(entries, seconds, times, each, strict=True):
        gmac_per_s = gmacs_per_second(entry.synthesise, made)
        row = {
            "vocoder": entry.name,
            "parameters": entry.parameters() / 1e6,
            **speeds(made, took, gmac_per_s=gmac_per_s, peak=peak),
            "to_vocos": float(np.median(speed / vocos)),
        }
        rows.append(row)
    return rows, peak


def run(description: str, **defaults: Any) -> None:
    """Read the options, measure, and print the table.

    Args:
        description: for ``--help``.
        defaults: of options, by name.
    """
    options = _options(description, defaults)
    torch.set_num_threads(options.threads)
    others = peers(options)
    own = [ours(name, OURS, Vocoder.from_pretrained(name), options) for name in options.models]
    rows, peak = compare([*itertools.chain(*own), *others], options.rounds, options.device)
    if options.waveglow:
        slow = [*waveglow(options), others[0]]  # Vocos, to compare with
        rows += compare(slow, min(options.rounds, WAVEGLOW_ROUNDS), options.device)[0][:-1]
    packages = ", ".join(f"{name} {version(name)}" for name in ("vocos", "transformers"))
    machine = f"{describe_machine(options.device)}, {packages}"
    print(
        f"{machine}; fp32 matrix product {peak / 1e9:.0f} GFLOP/s; "
        f"{options.batch} × {options.seconds:g} s, {options.rounds} rounds\n"
    )
    print(table_of_figures(rows, COLUMNS))
    if options.json:
        kept = ("device", "autocast", "seconds", "batch", "threads", "rounds")
        found = {
            "machine": machine,
            "matmul_gflop_per_s": peak / 1e9,
            **{key: getattr(options, key) for key in kept},
            "rows": rows,
        }
        options.json.write_text(json.dumps(found, indent=1))


def _options(description: str, defaults: dict[str, Any]) -> argparse.Namespace:
    positive = number(int, low=1)
    parser = argparse.ArgumentParser(
        description=f"{description}\n{__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=bundled(),
        metavar="NAME_OR_FOLDER",
        help="waveflow vocoders; by default all that are bundled",
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--autocast",
        choices=("off", *AUTOCAST),
        default="off",
        help="measure the peers in this precision as well (default: %(default)s)",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of audio a call")
    parser.add_argument("--batch", type=positive, default=1, help="mels a call")
    parser.add_argument("--threads", type=positive, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=positive, default=15, help="timed calls of each")
    parser.add_argument("--waveglow", action="store_true", help="the public WaveGlow's sizes, too")
    parser.add_argument("--json", type=Path, help="file to write the figures to as well")
    parser.set_defaults(**defaults)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("expected a CUDA device; torch sees none")
    return options

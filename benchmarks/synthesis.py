"""Quality of a vocoder against temperature and iterations of mel consistency.

    python benchmarks/synthesis.py --model ljspeech data/clips/*.flac

Prints a Markdown table of wide-band PESQ and STOI: a row a temperature, a column a number of
iterations. Two more rows say what the iterations do on their own: "noise" has them begin from white
noise, without any model, and "envelope", where the model whitens, from noise behind its
whitening, without the couplings. With --full-band 3 --cutoff 2200 the first three iterations move
all bins and the rest those below 2200 Hz.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import cast

import torch
from torch import Tensor
from tqdm import tqdm

from waveflow import Vocoder
from waveflow.audio import LogMel, MelConsistency
from waveflow.bijections import Bijection, Chain
from waveflow.cli.arguments import several
from waveflow.evaluation import pesq_wideband, stoi
from waveflow.evaluation.recording import read_recordings
from waveflow.evaluation.white_noise import white_noise
from waveflow.io.atomic import write_atomically
from waveflow.io.markdown import markdown_table
from waveflow.noise import positional_noise

ENVELOPE, NOISE = "envelope", "noise"


@torch.no_grad()
def main() -> None:
    """Measure the grid and print it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path, help="recordings")
    parser.add_argument("--model", default="ljspeech", help="bundled name or folder")
    parser.add_argument("--temperatures", type=several(float), default="0,0.2,0.4,0.6,0.8,1")
    parser.add_argument("--iterations", type=several(int), default="0,4,8,16,32")
    parser.add_argument(
        "--full-band", type=int, help="iterations that move all bins (default: the model's own)"
    )
    parser.add_argument(
        "--cutoff", type=float, help="Hz below which the others do (default: the model's own)"
    )
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    vocoder = Vocoder.from_pretrained(arguments.model)
    temperatures, iterations = arguments.temperatures, arguments.iterations
    own = vocoder.config.synthesis
    full_band = own.full_band if arguments.full_band is None else arguments.full_band
    cutoff = own.cutoff if arguments.cutoff is None else arguments.cutoff
    consistency = MelConsistency(LogMel(vocoder.config.mel), cutoff=cutoff)
    rate = vocoder.config.mel.sample_rate
    scores: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for recording in tqdm(read_recordings(arguments.clips, vocoder.config.mel)):
        mel = recording.mel[None]
        guesses = {
            f"{t:g}": vocoder(mel, temperature=t, consistency=0, seed=0) for t in temperatures
        }
        hop_length = vocoder.config.mel.hop_length
        if vocoder.config.model.name in ("lapflow", "source_filter"):
            noise = positional_noise(0, 1, mel.shape[-1] * hop_length).to(mel)
            guesses[ENVELOPE] = envelope(vocoder, mel, noise)
        guesses[NOISE] = white_noise(mel, hop_length)
        for name, guess in guesses.items():
            for count in iterations:
                audio = consistency(guess, mel, count, full_band)[0].clamp(-1, 1)
                pair = (recording.audio, audio, rate)
                row = scores.setdefault(name, {}).setdefault(count, [])
                row.append((pesq_wideband(*pair), stoi(*pair)))
    means = {
        name: {
            count: [fmean(each) for each in zip(*pairs, strict=True)] for count, pairs in r.items()
        }
        for name, r in scores.items()
    }
    if arguments.json is not None:
        write_atomically(arguments.json, json.dumps(means, indent=2).encode())
    rows = (
        [name, *(f"{mean[count][0]:.2f} / {mean[count][1]:.3f}" for count in iterations)]
        for name, mean in means.items()
    )
    print(markdown_table(["temperature", *(f"{count} iterations" for count in iterations)], rows))


def envelope(vocoder: Vocoder, mel: Tensor, noise: Tensor) -> Tensor:
    """Noise behind the whitening of a lapflow or source_filter, the couplings left out."""
    whitening = cast(Bijection, cast(Chain, vocoder.flow.bijection).bijections[0])
    return whitening.inverse(noise, vocoder.context_net(mel))


if __name__ == "__main__":
    main()

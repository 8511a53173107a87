"""Copy synthesis of a folder of recordings: WAV files, a picture, and a table of figures."""

from __future__ import annotations

import argparse
import sys

from waveflow.io.signals import INTERRUPTED, end_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_when_interrupted()  # while modules load

import matplotlib
import torch

matplotlib.use("Agg")
from matplotlib import pyplot

from waveflow import Vocoder
from waveflow.audio import read_audio, write_audio
from waveflow.audio.pictures import draw_spectrogram
from waveflow.evaluation import evaluate
from waveflow.io.paths import as_path

SECONDS = 1.5
KILOHERTZ = 5
"""Shown of each clip in the picture."""


def main() -> None:
    """Vocode every clip of a folder and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", help="folder of recordings")
    parser.add_argument("--out", default="out", help="folder to write")
    parser.add_argument("--model", default="ljspeech", help="bundled name or folder")
    arguments = parser.parse_args()

    clips, out = as_path(arguments.clips), as_path(arguments.out)
    vocoder = Vocoder.from_pretrained(arguments.model)
    paths = sorted(clips.glob("*.flac"))
    out.mkdir(parents=True, exist_ok=True)
    rate = vocoder.config.mel.sample_rate
    figure, axes = pyplot.subplots(
        len(paths), 2, figsize=(14, 2.6 * len(paths)), sharex=True, sharey=True, squeeze=False
    )
    for path, (left, right) in zip(paths, axes, strict=True):
        recorded, _ = read_audio(path, sample_rate=rate)
        mel = vocoder.mel(recorded[None])
        vocoded = vocoder(mel, seed=0)[0]
        write_audio(out / f"{path.stem}.wav", vocoded.clamp(-1, 1), rate)
        draw(left, recorded, rate, f"{path.stem}: recorded")
        draw(right, vocoded, rate, f"{path.stem}: vocoded")
    figure.supxlabel("seconds")
    figure.supylabel("kHz")
    figure.tight_layout()
    figure.savefig(out / "demo.png", dpi=80)

    report = evaluate(vocoder, paths, seed=0)
    print(report.to_table())
    print(f"\nWrote {len(paths)} files and demo.png to {out}/")


def draw(axis: pyplot.Axes, audio: torch.Tensor, rate: int, title: str) -> None:
    """A narrow-band spectrogram in dB of the first seconds: harmonics are horizontal lines."""
    audio = audio[rate // 4 :][: int(SECONDS * rate)]
    draw_spectrogram(axis, audio, rate)
    axis.set_ylim(0, KILOHERTZ)
    axis.set_title(title, fontsize=9)


if __name__ == "__main__":
    raise_when_interrupted()
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)

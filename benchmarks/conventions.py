"""What a vocoder makes of mels of other conventions: PESQ and STOI of the test clips.

python benchmarks/conventions.py [--model ljspeech] [data/clips/*.flac]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean

from waveflow import LogMel, Vocoder
from waveflow.audio import read_audio
from waveflow.evaluation.metrics import pesq_wideband, stoi
from waveflow.interop.adapters import AsHiFiGAN
from waveflow.interop.mels import CONVENTIONS, differing
from waveflow.io.markdown import markdown_table

ALLOWED = ("center", "window", "pad_mode")
"""What may differ: half a hop of time, a thousandth of the window, three frames at the ends."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", default=sorted(Path("data/clips").glob("*.flac")))
    parser.add_argument("--model", default="ljspeech")
    arguments = parser.parse_args()
    vocoder = Vocoder.from_pretrained(arguments.model)
    rows = []
    for name, convention in CONVENTIONS.items():
        if set(differing(name, vocoder.config.mel)) - set(ALLOWED):
            continue
        log_mel = LogMel(convention.front_end)
        speak = AsHiFiGAN(vocoder, convention=name, allow=ALLOWED)
        scores = []
        for clip in arguments.clips:
            audio, rate = read_audio(clip, sample_rate=convention.front_end.sample_rate)
            speech = speak(convention.write(log_mel(audio[None])))[0, 0]
            size = min(len(audio), len(speech))
            pair = audio[:size], speech[:size], rate
            scores.append((pesq_wideband(*pair), stoi(*pair)))
        pesq, intelligibility = (mean(column) for column in zip(*scores, strict=True))
        rows.append((f"`{name}`", f"{pesq:.3f}", f"{intelligibility:.4f}"))
    print(markdown_table(("convention", "PESQ-wb", "STOI"), rows))


if __name__ == "__main__":
    main()

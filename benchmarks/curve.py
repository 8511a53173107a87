"""The picture of quality against speed: waveflow's three vocoders among their rivals.

    python benchmarks/cpu_peers.py --json peers.json
    python benchmarks/curve.py peers.json docs/curve.png

Speeds are those of ``peers.json``, one run on one machine. The quality of waveflow's vocoders is
measured here, on the five test clips; that of the rivals is in :data:`PUBLISHED`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import matplotlib

from waveflow import Vocoder
from waveflow.evaluation import pesq_wideband
from waveflow.evaluation.opinion import distill_mos
from waveflow.evaluation.recording import read_recordings

matplotlib.use("Agg")
from matplotlib import pyplot

CLIPS = Path(__file__).parents[1] / "data" / "clips"
OURS = "waveflow "
RECORDINGS = 4.40
"""DistillMOS of the recordings in ``data/clips``."""

PUBLISHED: dict[str, tuple[float, float, float | None]] = {
    "WaveGlow 88 M": (4.31, 3.93, 0.2),
    "HiFi-GAN V1": (4.42, 3.65, None),
    "HiFi-GAN V2": (4.39, 3.02, None),
    "HiFi-GAN V3": (4.35, 2.83, None),
}
"""DistillMOS and wide-band PESQ of samples that their authors published, and × real time where
the peers lack it.

WaveGlow's are of the five test clips, whose recordings have a DistillMOS of 4.39; HiFi-GAN's are of
five other LJSpeech clips, whose recordings have 4.49. WaveGlow's speed was measured with its
reference code on two cores of another machine.
"""

AXES = (("DistillMOS, predicted opinion", (3.3, 4.5)), ("wide-band PESQ", (2.4, 4.4)))
"""What stands on the vertical axis of each panel, and its range."""


def main() -> None:
    """Measure, and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("peers", type=Path, help="what cpu_peers.py wrote with --json")
    parser.add_argument("picture", type=Path, help="PNG to write")
    arguments = parser.parse_args()
    found = json.loads(arguments.peers.read_text(encoding="utf-8"))
    speeds = {row["vocoder"]: row["speed"] for row in found["rows"]}
    own: dict[str, tuple[float, ...]] = {
        name.removeprefix(OURS): (*quality(name.removeprefix(OURS)), speed)
        for name, speed in speeds.items()
        if name.startswith(OURS)
    }
    rivals: dict[str, tuple[float, ...]] = {
        name: (*figures, speed or speeds[name]) for name, (*figures, speed) in PUBLISHED.items()
    }
    draw(own, rivals, speeds["Vocos"], arguments.picture)


def quality(name: str) -> tuple[float, float]:
    """DistillMOS and wide-band PESQ of copies of the test clips."""
    vocoder = Vocoder.from_pretrained(name)
    rate = vocoder.config.mel.sample_rate
    recordings = read_recordings(sorted(CLIPS.glob("*.flac")), vocoder.config.mel)
    copies = [vocoder(recording.mel[None], seed=0)[0].clamp(-1, 1) for recording in recordings]
    similarities = [
        pesq_wideband(recording.audio, copy, rate)
        for recording, copy in zip(recordings, copies, strict=True)
    ]
    return fmean(distill_mos(copy, rate) for copy in copies), fmean(similarities)


def draw(
    own: dict[str, tuple[float, ...]],
    rivals: dict[str, tuple[float, ...]],
    vocos: float,
    picture: Path,
) -> None:
    """Write the picture."""
    figure, panels = pyplot.subplots(1, 2, figsize=(13, 4.5))
    for index, (axis, (title, limits)) in enumerate(zip(panels, AXES, strict=True)):
        axis.set_xscale("log")
        for points, style in (
            (own, {"color": "tab:blue", "marker": "o", "linestyle": "-"}),
            (rivals, {"color": "tab:gray", "marker": "s", "linestyle": ""}),
        ):
            _points(axis, {name: (p[index], p[2]) for name, p in points.items()}, **style)
        axis.axvline(vocos, color="tab:gray", linestyle=":")
        axis.annotate(
            "Vocos (no samples of these clips)",
            (vocos, limits[0]),
            rotation=90,
            xytext=(4, 6),
            textcoords="offset points",
            color="tab:gray",
            fontsize=8,
        )
        axis.axvline(1, color="black", linewidth=0.5)
        axis.set_xlabel("× real time on two CPU cores, a 2-second clip (log scale)")
        axis.set_ylabel(f"{title}, copy synthesis")
        axis.set_ylim(*limits)
        axis.set_xlim(0.1, 3.5 * max(vocos, *(speed for *_, speed in own.values())))
        axis.grid(alpha=0.3, which="both")
    panels[0].axhline(RECORDINGS, color="tab:green", linestyle="--", linewidth=0.8)
    panels[0].annotate("recordings", (0.12, RECORDINGS + 0.01), color="tab:green", fontsize=8)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def _points(axis: Any, points: dict[str, tuple[float, float]], **style: str) -> None:
    """Points from slow to fast; names stand to the left, or above and below where a line joins."""
    ordered = sorted(points.items(), key=lambda item: item[1][1])
    axis.plot([speed for _, (_, speed) in ordered], [q for _, (q, _) in ordered], **style)
    for number, (name, (q, speed)) in enumerate(ordered):
        joined = style["linestyle"] == "-"
        beside = (
            {"xytext": (7, -3), "ha": "left"} if speed < 1 else {"xytext": (-7, -3), "ha": "right"}
        )
        apart = {"xytext": (0, 9 if number % 2 else -17), "ha": "center"}
        axis.annotate(
            name,
            (speed, q),
            textcoords="offset points",
            color=style["color"],
            fontsize=9,
            **(apart if joined else beside),
        )


if __name__ == "__main__":
    main()

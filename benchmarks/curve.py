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
from typing import Any

import matplotlib

from waveflow import Vocoder
from waveflow.evaluation import evaluate

matplotlib.use("Agg")
from matplotlib import pyplot

CLIPS = Path(__file__).parents[1] / "data" / "clips"
OURS = "waveflow "

PUBLISHED: dict[str, tuple[float, float | None]] = {
    "WaveGlow 88 M": (3.93, 0.2),
    "HiFi-GAN V1": (3.65, None),
    "HiFi-GAN V2": (3.02, None),
    "HiFi-GAN V3": (2.83, None),
}
"""Wide-band PESQ of samples their authors published, and × real time where the peers lack it.

WaveGlow's are of the five test clips, HiFi-GAN's of five other LJSpeech clips. WaveGlow's speed was
measured with its reference code on two cores of another machine.
"""


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
    own = {
        name.removeprefix(OURS): (quality(name.removeprefix(OURS)), speed)
        for name, speed in speeds.items()
        if name.startswith(OURS)
    }
    rivals = {name: (q, speed or speeds[name]) for name, (q, speed) in PUBLISHED.items()}
    draw(own, rivals, speeds["Vocos"], arguments.picture)


def quality(name: str) -> float:
    """Wide-band PESQ of copies of the test clips."""
    report = evaluate(Vocoder.from_pretrained(name), sorted(CLIPS.glob("*.flac")), pitch=False)
    assert report.pesq is not None
    return report.pesq


def draw(
    own: dict[str, tuple[float, float]],
    rivals: dict[str, tuple[float, float]],
    vocos: float,
    picture: Path,
) -> None:
    """Write the picture."""
    figure, axis = pyplot.subplots(figsize=(8, 4.5))
    axis.set_xscale("log")
    _points(axis, own, color="tab:blue", marker="o", linestyle="-")
    _points(axis, rivals, color="tab:gray", marker="s", linestyle="")
    axis.axvline(vocos, color="tab:gray", linestyle=":")
    axis.annotate(
        "Vocos (no samples of these clips)",
        (vocos, 2.45),
        rotation=90,
        xytext=(4, 0),
        textcoords="offset points",
        color="tab:gray",
        fontsize=8,
    )
    axis.axvline(1, color="black", linewidth=0.5)
    axis.set_xlabel("× real time on two CPU cores, a 2-second clip (log scale)")
    axis.set_ylabel("wide-band PESQ, copy synthesis")
    axis.set_ylim(2.4, 4.4)
    axis.set_xlim(0.1, 3.5 * max(vocos, *(speed for _, speed in own.values())))
    axis.grid(alpha=0.3, which="both")
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def _points(axis: Any, points: dict[str, tuple[float, float]], **style: str) -> None:
    ordered = sorted(points.items(), key=lambda item: item[1][1])
    axis.plot([speed for _, (_, speed) in ordered], [q for _, (q, _) in ordered], **style)
    for name, (q, speed) in ordered:
        axis.annotate(
            name,
            (speed, q),
            xytext=(5, 6),
            textcoords="offset points",
            color=style["color"],
            fontsize=9,
        )


if __name__ == "__main__":
    main()

"""Texts of the tab *About*, each read from the one place where it stands."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from importlib.resources import files
from pathlib import Path

from waveflow.version import __version__

CITE = f"""\
Name the software and its version (`waveflow {__version__}`), the model (`ljspeech`, …) with its
defaults if you changed none, and the mel convention by its name and source. What it builds on:

| what | source |
| --- | --- |
| normalizing flows, couplings | [NICE](https://arxiv.org/abs/1410.8516), \
[Real NVP](https://arxiv.org/abs/1605.08803) |
| 1×1 convolutions, walks through latents | [Glow](https://arxiv.org/abs/1807.03039) |
| flows as vocoders | [WaveGlow](https://arxiv.org/abs/1811.00002) |
| mel convention `hifigan-22k` | [HiFi-GAN](https://arxiv.org/abs/2010.05646) |
| mel convention `nvidia-22k` | [Tacotron 2](https://arxiv.org/abs/1712.05884) by NVIDIA |
| speech of the bundled models and the examples | LJSpeech 1.1, Keith Ito and Linda Johnson, 2017, \
public domain |

Weights and code are under the MIT licence. Sounds that you make here are yours; say that they are
synthetic where somebody could take them for a recording of a person.
"""


def model_card(name: str) -> str:
    """The card of a bundled model, Markdown without its front matter and its title."""
    card = files("waveflow.pretrained") / name / "README.md"
    text = re.sub(r"\A---\n.*?\n---\n", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
    return without_local_links(re.sub(r"\A\s*# .*\n", "", text).strip())


def results() -> str | None:
    """The first table of the README's results with the paragraph before it; None if it is gone."""
    text = readme()
    section = None if text is None else re.search(r"^## Results\n(.*?)^```", text, re.M | re.S)
    return None if section is None else without_local_links(section[1].strip())


def readme() -> str | None:
    """The README, of a clone or of what was installed."""
    beside = Path(str(files("waveflow"))).parent / "README.md"
    if beside.is_file():
        text = beside.read_text(encoding="utf-8")
        if text.startswith("# waveflow"):
            return text
    try:
        described = metadata("waveflow")
    except PackageNotFoundError:
        return None
    return described["Description"] if "Description" in described else None


def examples() -> list[Path]:
    """The clips of a clone; none where the package is installed alone."""
    clips = Path(str(files("waveflow"))).parent / "data" / "clips"
    return sorted(clips.glob("*.flac"))


def without_local_links(text: str) -> str:
    """Markdown whose links to files, which a page cannot follow, are mere text."""
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text)

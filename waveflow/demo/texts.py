"""Texts of the tab *About*, read from the README and the model cards."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, metadata
from importlib.resources import files
from pathlib import Path

from waveflow.version import __version__

CLONE = Path(__file__).parents[2]
"""The folder of the clone; of an installed package, the folder that it is in."""

CITE = f"""\
Name the software and its version (`waveflow {__version__}`), the model (`ljspeech`, …) with any
settings that you changed, and the mel convention with its source. waveflow builds on:

| what | source |
| --- | --- |
| normalizing flows, couplings | [NICE](https://arxiv.org/abs/1410.8516), \
[Real NVP](https://arxiv.org/abs/1605.08803) |
| 1×1 convolutions, interpolation of latents | [Glow](https://arxiv.org/abs/1807.03039) |
| flows as vocoders | [WaveGlow](https://arxiv.org/abs/1811.00002) |
| mel convention `hifigan-22k` | [HiFi-GAN](https://arxiv.org/abs/2010.05646) |
| mel convention `nvidia-22k` | [Tacotron 2](https://arxiv.org/abs/1712.05884) by NVIDIA |
| speech of the bundled models and the examples | LJSpeech 1.1, Keith Ito and Linda Johnson, 2017, \
public domain |

Weights and code are under the MIT licence. Sounds that you make here are yours; label them as
synthetic if somebody could mistake them for a recording of a person.
"""


def model_card(name: str) -> str:
    """The card of a bundled model, in Markdown, without front matter and title."""
    card = files("waveflow.pretrained") / name / "README.md"
    text = re.sub(r"\A---\n.*?\n---\n", "", card.read_text(encoding="utf-8"), flags=re.DOTALL)
    return without_local_links(re.sub(r"\A\s*# .*\n", "", text).strip())


def results() -> str | None:
    """The table of the README's results and the text before it; None if there is no README."""
    text = readme()
    section = None if text is None else re.search(r"^## Results\n(.*?)^```", text, re.M | re.S)
    return None if section is None else without_local_links(section[1].strip())


def readme() -> str | None:
    """The README of the clone or of the installed package; None if there is none."""
    beside = CLONE / "README.md"
    if beside.is_file():
        text = beside.read_text(encoding="utf-8")
        if text.startswith("# waveflow"):
            return text
    try:
        described = metadata("waveflow")
    except PackageNotFoundError:
        return None
    return described["Description"] if "Description" in described else None


def examples() -> list[str]:
    """The paths of the clone's clips; none if only the package is installed."""
    return sorted(str(path) for path in CLONE.glob("data/clips/*.flac"))


def without_local_links(text: str) -> str:
    """Markdown with links to local files replaced by their text."""
    return re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]+\)", r"\1", text)

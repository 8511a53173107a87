"""The model card of a vocoder: a README.md for the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from waveflow.audio.mel_conventions import CONVENTIONS
from waveflow.config import VocoderConfig
from waveflow.io.markdown import markdown_table
from waveflow.version import __version__

_TAGS = ("waveflow", "vocoder", "normalizing-flow", "text-to-speech")


def model_card(
    config: VocoderConfig,
    *,
    name: str,
    parameters: int,
    license: str | None = None,
    datasets: Sequence[str] = (),
    language: str | Sequence[str] | None = None,
    tags: Sequence[str] = (),
    description: str = "",
    results: Mapping[str, float | str] | None = None,
) -> str:
    """A model card: metadata in YAML, then Markdown.

    Args:
        config: config of the vocoder.
        name: name of the vocoder for ``from_pretrained``.
        parameters: number of parameters.
        license: license of the weights in the hub's spelling (``"mit"``, ``"cc-by-4.0"``).
        datasets: training data, as ids on the hub or names.
        language: language of the speech, one or several ISO 639-1 codes.
        tags: tags in addition to the default ones.
        description: Markdown text at the start of the card.
        results: measures and their values, one table row each.

    >>> from waveflow import Vocoder
    >>> config = Vocoder.from_pretrained("ljspeech").config
    >>> card = model_card(config, name="me/mine", parameters=1346272, license="mit")
    >>> card.splitlines()[1:3]
    ['library_name: waveflow', 'license: mit']
    """
    metadata = {
        "library_name": "waveflow",
        "license": license,
        "language": language if language is None or isinstance(language, str) else list(language),
        "datasets": list(datasets),
        "tags": [*_TAGS, *(tag for tag in tags if tag not in _TAGS)],
    }
    given = {key: value for key, value in metadata.items() if value}
    parts = [
        f"---\n{yaml.safe_dump(given, sort_keys=False)}---",
        f"# {name.rpartition('/')[2]}",
        description,
        f"A vocoder: it turns mel spectrograms into speech. A `{config.model.name}` of "
        f"{parameters / 1e6:.2f} million parameters, saved by waveflow {__version__}.",
        "## Use",
        _use(config, name),
        "## Mel convention",
        _mel(config),
        "## Sizes and defaults",
        _table("model", {"name": config.model.name, **asdict(config.model)}),
        _table("synthesis", asdict(config.synthesis)),
    ]
    if results:
        parts += ["## Results", _table("measure", results)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _use(config: VocoderConfig, name: str) -> str:
    return "\n".join(
        (
            "```python",
            "from waveflow import Vocoder",
            "from waveflow.audio import read_audio, write_audio",
            "",
            f"vocoder = Vocoder.from_pretrained({name!r})",
            f'audio, rate = read_audio("speech.wav", sample_rate={config.mel.sample_rate})',
            'write_audio("copy.wav", vocoder(vocoder.mel(audio[None]))[0], rate)',
            "```",
        )
    )


def _mel(config: VocoderConfig) -> str:
    names = [name for name, known in CONVENTIONS.items() if known.front_end == config.mel]
    known = f" These values are those of `{names[0]}`." if names else ""
    return f"The vocoder needs mels of exactly this convention.{known}\n\n" + _table(
        "mel", asdict(config.mel)
    )


def _table(what: str, values: Mapping[str, Any]) -> str:
    return markdown_table((what, "value"), values.items(), left=(what, "value"))

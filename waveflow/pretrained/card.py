"""The page that tells what a vocoder is: README.md, as the Hugging Face hub reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import yaml

from waveflow.audio.mel import MEL_CONVENTIONS
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
        config: of the vocoder.
        name: as ``from_pretrained`` takes it.
        parameters: how many it has.
        license: of the weights, as the hub spells it (``"mit"``, ``"cc-by-4.0"``).
        datasets: what it was trained on, ids on the hub or names.
        language: of the speech, ISO 639-1, one or more.
        tags: more than the usual ones.
        description: Markdown, in front of the rest.
        results: measure and value, a row each.

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
        f"A vocoder: mel spectrogram in, speech out. A `{config.model.name}` of "
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
    names = [name for name, known in MEL_CONVENTIONS.items() if known == config.mel]
    known = f" These are those of `{names[0]}`." if names else ""
    return f"A mel of other values does not fit.{known}\n\n" + _table("mel", asdict(config.mel))


def _table(what: str, values: Mapping[str, Any]) -> str:
    return markdown_table((what, "value"), values.items(), left=(what, "value"))

"""HTML of results: tiles of figures, pictures with captions, notes. All text is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from typing import Any

from waveflow.evaluation.html import template

_RESULTS: Any = template("waveflow.demo", "results.html").module


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """A row of figures: (value, name) each."""
    return str(_RESULTS.tiles(figures))


def pictures(figures: Iterable[tuple[bytes, str, str]]) -> str:
    """PNGs side by side, or stacked on a narrow screen: (png, caption, alt) each."""
    coded = [(b64encode(png).decode(), caption, alt) for png, caption, alt in figures]
    return str(_RESULTS.pictures(coded))


def notes(lines: Iterable[str]) -> str:
    """Paragraphs of small print; empty if there are no lines."""
    return str(_RESULTS.notes(lines))


def warning(text: str | None) -> str:
    """A highlighted warning; empty if ``text`` is None."""
    return str(_RESULTS.warning(text))

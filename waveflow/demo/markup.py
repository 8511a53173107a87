"""HTML of results: figures, pictures with captions, notes. All text is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from waveflow.evaluation.html import template

_RESULTS: Any = template("waveflow.demo", "results.html").module


def report(
    figures: Sequence[tuple[str, str]],
    notes: Sequence[str],
    *,
    warning: str | None = None,
    shown: Sequence[tuple[bytes, str, str]] = (),
) -> str:
    """A row of figures, and small print below.

    Args:
        figures: (value, name) each.
        notes: paragraphs of small print.
        warning: text of a highlighted warning above the figures.
        shown: pictures between the figures and the small print, as of :func:`pictures`.
    """
    return str(_RESULTS.report(figures, notes, warning, _coded(shown)))


def pictures(figures: Sequence[tuple[bytes, str, str]]) -> str:
    """PNGs side by side, or stacked on a narrow screen: (png, caption, alt) each."""
    return str(_RESULTS.pictures(_coded(figures)))


def _coded(figures: Sequence[tuple[bytes, str, str]]) -> list[tuple[str, str, str]]:
    return [(b64encode(png).decode(), caption, alt) for png, caption, alt in figures]

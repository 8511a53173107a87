"""HTML of results: tiles of figures, pictures with captions, notes. All text is escaped here."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape


def tiles(figures: Iterable[tuple[str, str]]) -> str:
    """A row of figures: (value, name) each."""
    parts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for value, name in figures
    )
    return f'<dl class="wf-tiles">{parts}</dl>'


def pictures(figures: Iterable[tuple[bytes, str, str]]) -> str:
    """PNGs side by side, or stacked on a narrow screen: (png, caption, alt) each."""
    parts = "".join(
        f'<figure><figcaption>{escape(caption)}</figcaption><img alt="{escape(alt, quote=True)}" '
        f'src="data:image/png;base64,{b64encode(png).decode()}"></figure>'
        for png, caption, alt in figures
    )
    return f'<div class="wf-pictures">{parts}</div>'


def notes(lines: Iterable[str]) -> str:
    """Paragraphs of small print; empty if there are no lines."""
    return "".join(f'<p class="wf-note">{escape(line)}</p>' for line in lines)


def warning(text: str | None) -> str:
    """A highlighted warning; empty if ``text`` is None."""
    return f'<div class="wf-warning" role="alert">{escape(text)}</div>' if text else ""

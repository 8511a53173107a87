"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any


def markdown_table(
    heads: Sequence[str], rows: Iterable[Iterable[object]], *, left: Container[str] | None = None
) -> str:
    r"""A Markdown table.

    Args:
        heads: headings of the columns.
        rows: cells of each row, one per heading.
        left: headings of the left-aligned columns of text; None is the first one. The others are
            right-aligned.

    >>> print(markdown_table(("clip", "PESQ"), [("a|b", 4.5)]))
    | clip | PESQ |
    | --- | ---: |
    | a\|b | 4.5 |
    """
    left = heads[:1] if left is None else left
    rule = ["---" if head in left else "---:" for head in heads]
    lines = [map(_cell, heads), rule, *(map(_cell, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_of_figures(
    rows: Sequence[Mapping[str, Any]],
    columns: Mapping[str, tuple[str, str]],
    *,
    missing: str = "",
) -> str:
    """A table with the columns that the first row has.

    Args:
        rows: figures by name; not empty.
        columns: heading and format of each figure.
        missing: text for None.

    >>> columns = {"engine": ("engine", "{}"), "speed": ("speed", "{:.1f}"), "ms": ("ms", "{}")}
    >>> print(table_of_figures([{"engine": "plain", "speed": 2}], columns))
    | engine | speed |
    | --- | ---: |
    | plain | 2.0 |
    """
    shown = {key: column for key, column in columns.items() if key in rows[0]}
    return markdown_table(
        [head for head, _ in shown.values()],
        (
            [written(row[key], form, missing=missing) for key, (_, form) in shown.items()]
            for row in rows
        ),
        left=[head for key, (head, _) in shown.items() if isinstance(rows[0][key], str)],
    )


def written(figure: Any, form: str, *, missing: str = "none") -> str:
    """A figure in a format, such as ``{:.2f}``; True and False are ``yes`` and ``no``.

    Args:
        figure: a number, a string, a truth value, or None.
        form: format for ``str.format``.
        missing: text for None.
    """
    if figure is None:
        return missing
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return form.format(figure)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")

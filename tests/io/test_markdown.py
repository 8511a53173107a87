"""Tables that every reader of Markdown takes for tables."""

import pytest

from waveflow.io.markdown import markdown_table, table_of_figures, written


def test_cells_stay_cells():
    head, rule, row = markdown_table(("a|b", "n"), [("x | y\nz", 1)], left=()).splitlines()
    assert (head, rule) == (r"| a\|b | n |", "| ---: | ---: |")
    assert row == r"| x \| y z | 1 |"


@pytest.mark.parametrize(
    ("left", "rule"),
    [
        (None, "| --- | ---: | ---: |"),
        (("a", "c"), "| --- | ---: | --- |"),
        ((), "| ---: | ---: | ---: |"),
    ],
)
def test_text_stands_left(left, rule):
    assert markdown_table(list("abc"), [], left=left).splitlines() == ["| a | b | c |", rule]


@pytest.mark.parametrize(
    ("figure", "text"), [(1.25, "1.2"), (None, "none"), (True, "yes"), (False, "no")]
)
def test_figures_are_written(figure, text):
    assert written(figure, "{:.1f}") == text


def test_columns_are_those_of_the_first_row():
    columns = {"name": ("name", "{}"), "ms": ("ms", "{:.1f}"), "mb": ("MB", "{:.0f}")}
    rows = [{"name": "x", "mb": 1.0, "more": 2}, {"name": "y", "mb": None, "ms": 3}]
    expected = ["| name | MB |", "| --- | ---: |", "| x | 1 |", "| y | – |"]
    assert table_of_figures(rows, columns, missing="–").splitlines() == expected

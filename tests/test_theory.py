"""The code in the documents runs, in order, and its asserts hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECTION = re.compile(r"^## ", re.MULTILINE)


class Document:
    """A Markdown file whose Python blocks share one namespace, like a notebook's cells."""

    def __init__(self, name: str):
        self.path = DOCS / name
        self.text = self.path.read_text(encoding="utf-8")
        self.blocks = [  # (line of the block's first statement, source)
            (self.text.count("\n", 0, match.start(1)) + 1, match[1])
            for match in BLOCK.finditer(self.text)
        ]
        self.namespace: dict[str, object] = {"__name__": self.path.stem}
        self.done = 0

    def run(self, index: int) -> None:
        """Run the blocks up to ``index`` that have not run; tracebacks give the file's lines."""
        while self.done <= index:
            line, source = self.blocks[self.done]
            self.done += 1
            code = compile("\n" * (line - 1) + source, str(self.path), "exec")
            exec(code, self.namespace)  # noqa: S102


THEORY = Document("theory.md")
PAGES = ("inference.md", "mel_conventions.md", "drop_in.md")
DOCUMENTS = [THEORY, *map(Document, PAGES)]

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.path.name)


@pytest.mark.parametrize(
    ("document", "index"),
    [
        pytest.param(document, index, id=f"{document.path.name}:{line}")
        for document in DOCUMENTS
        for index, (line, _) in enumerate(document.blocks)
    ],
)
def test_block_runs(document: Document, index: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(index)
        document.run(index)


def test_every_section_of_the_theory_is_checked() -> None:
    assert len(THEORY.blocks) >= len(SECTION.findall(THEORY.text)) > 0
    for section in SECTION.split(THEORY.text)[1:]:
        title = section.partition("\n")[0]
        assert "$$" not in section or BLOCK.search(section), f"nothing is checked in: {title}"


@each_document
def test_every_block_asserts(document: Document) -> None:
    for line, source in document.blocks:
        assert re.search(r"^\s*(assert\b|assert_close\(|check\()", source, re.MULTILINE), (
            f"{document.path.name}:{line} checks nothing"
        )

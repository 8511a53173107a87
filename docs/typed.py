"""Writes the Python of the README and the documents where mypy reads it (``make lint``)."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out" / "typed"
PAGES = ["README.md", "docs/drop_in.md", "docs/mel_conventions.md", "docs/hub.md"]
PAGES += ["docs/importing.md", "docs/inference.md", "docs/deployment.md"]
BLOCK = re.compile(r"^```(?:python|py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code(page: Path) -> str:
    """The Python of a page, every line of it where it stands there."""
    text = page.read_text(encoding="utf-8")
    lines = [""] * (text.count("\n") + 1)
    for match in BLOCK.finditer(text):
        first = text.count("\n", 0, match.start(1))
        block = match[1].splitlines()
        lines[first : first + len(block)] = block
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write every page's code below ``out/typed``."""
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "__init__.py").touch()  # so that they are modules of one package
    for name in PAGES:
        file = OUT / f"{Path(name).stem.lower()}.py"
        file.write_text(code(ROOT / name), encoding="utf-8")


if __name__ == "__main__":
    main()

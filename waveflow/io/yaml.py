"""Read small YAML files within bounds: only plain values, without aliases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LARGEST = 2**20
"""Largest size of a file in bytes."""
DEEPEST = 32
"""Largest number of nested lists and mappings."""
_LONGEST_NUMBER = 64


class _PlainLoader(yaml.SafeLoader):
    """A loader without aliases, which can expand without bounds, deep nesting or long numbers."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _refused("an alias (*name)", self.peek_event())
        self._depth += 1
        if self._depth > DEEPEST:
            raise _refused(f"more than {DEEPEST} levels", self.peek_event())
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and node.tag.endswith((":int", ":float")):
            if len(node.value) > _LONGEST_NUMBER:
                raise _refused(f"a number of {len(node.value)} digits", node)
        return node


def read_yaml(path: str | Path) -> Any:
    """Read the plain values in a YAML file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not YAML, is too large or too deep, or has aliases.
    """
    with Path(path).open("rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"{path}: expected YAML of at most {LARGEST} bytes; got more")
    try:
        return yaml.load(content.decode("utf-8-sig"), _PlainLoader)  # noqa: S506, plain values alone
    except Exception as error:  # its constructors raise any type of error
        raise ValueError(f"{path}: expected YAML; got {shortened(error)}") from None


def shortened(error: Exception) -> str:
    """The text of an error in one line of limited length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 1000 else f"{text[:1000]} ..."


def _refused(what: str, where: Any) -> yaml.YAMLError:
    return yaml.composer.ComposerError(None, None, what, where.start_mark)

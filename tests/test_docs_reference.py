"""Every public name has its place in the reference, which ``make docs`` builds."""

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

import waveflow

PAGES = [
    path.read_text(encoding="utf-8")
    for path in (Path(__file__).parents[1] / "docs/api").glob("*.rst")
]
DIRECTIVE = re.compile(r"^\.\. (?:auto|py:)(\w+):: (\S+)\n((?:   .*\n)*)", re.MULTILINE)
PACKAGE = Path(waveflow.__file__).parent
FACES = ("cli", "demo")  # commands and pages, no library


@cache
def described():
    """Objects that the pages describe, beside the names that they give them."""
    return list(_described())


def _described():
    for page in PAGES:
        for kind, name, options in DIRECTIVE.findall(page):
            if kind != "module":
                elsewhere = re.search(r":module: (.*)", options)
                module, _, attribute = (
                    (elsewhere[1], "", name) if elsewhere else name.rpartition(".")
                )
                yield name, getattr(importlib.import_module(module), attribute)
            elif ":members:" in options:
                excluded = re.search(r":exclude-members: (.*)", options)
                left_out = excluded[1].split(", ") if excluded else []
                yield from (
                    (f"{name}.{member}", value)
                    for member, value in members(importlib.import_module(name))
                    if member not in left_out
                )


def members(module):
    """What autodoc describes of a module."""
    if hasattr(module, "__all__"):
        return [(name, getattr(module, name)) for name in module.__all__]
    return [
        (name, value)
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def public():
    """Names of the modules that say what is public."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        if parts[1] not in FACES and re.search(r"^__all__ =", path.read_text(), re.MULTILINE):
            yield ".".join(parts).removesuffix(".__init__")


@pytest.mark.parametrize("name", list(public()))
def test_every_public_name_is_in_the_reference(name):
    module = importlib.import_module(name)
    known = [value for _, value in described()]
    missing = [
        member
        for member in module.__all__
        if not any(getattr(module, member) is value for value in known)
    ]
    assert missing == []


def test_everything_there_has_a_docstring():
    for name, value in described():
        if callable(value):
            assert value.__doc__, name


def test_nothing_is_described_twice():
    seen = {}
    for name, value in described():
        if callable(value):
            assert seen.setdefault(id(value), name) == name

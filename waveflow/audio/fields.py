"""Sections of a config: dataclasses that check their values when they are made."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import Field, dataclass, field, fields
from functools import cache, wraps
from types import UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from waveflow.checks import real, shown, truth, whole
from waveflow.moved import warn_of

_Relation = TypeVar("_Relation", bound=Callable[..., str | None])
_Section = TypeVar("_Section", bound="type[Section]")


@dataclass(frozen=True)
class Range:
    """The finite numbers from ``low`` to ``high`` that a field may have.

    Attributes:
        low: lowest value.
        high: highest value.
        above: whether ``low`` itself is excluded.
        parity: required remainder modulo 2; None allows both.
    """

    low: float
    high: float
    above: bool = False
    parity: int | None = None


def number(
    default: Any, low: float, high: float, *, above: bool = False, parity: int | None = None
) -> Any:
    """A field of a :class:`Section` that holds a number in a :class:`Range`.

    Args:
        default: default value of the field; None if its type allows None.
        low: lowest value.
        high: highest value.
        above: whether ``low`` itself is excluded.
        parity: 1 for odd numbers, 0 for even ones; None allows both.
    """
    return field(default=default, metadata={"range": Range(low, high, above, parity)})


def relation(*names: str) -> Callable[[_Relation], _Relation]:
    """Mark a method of a :class:`Section` that checks several fields; it returns a fault or None.

    Args:
        names: names of the fields; the method is called if each of them is valid by itself.
    """

    def mark(method: _Relation) -> _Relation:
        method.names = names  # type: ignore[attr-defined]
        return method

    return mark


class Section:
    """A part of a config; subclasses are frozen dataclasses whose numbers are :func:`number`.

    Values are checked against the types and ranges of the fields, then together by the methods
    marked as :func:`relation`. Numbers of other libraries are converted to Python numbers.

    Raises:
        ValueError: a field is wrong; names every wrong field as ``section.field``.

    Attributes:
        section: name of the section in a file.
        former: name of the field, and its values by the former values, by the former name; see
            :func:`renamed`.
    """

    section: ClassVar[str]
    former: ClassVar[Mapping[str, tuple[str, Mapping[str, Any]]]] = {}
    _prefix: ClassVar[str] = ""
    _least: ClassVar[str] = "of {} or more"

    def __post_init__(self) -> None:
        faults: dict[str, str] = {}
        own: Any = type(self)
        for one, kinds in _kinds(own).items():
            path, value = f"{self.section}.{one.name}", getattr(self, one.name)
            if value is None:
                if type(None) not in kinds:
                    faults[one.name] = f"expected a value for {path}; got none"
                continue
            try:
                value = _typed(value, kinds)
            except ValueError as error:
                faults[one.name] = f"expected {path} {error}"
                continue
            object.__setattr__(self, one.name, value)
            limits = one.metadata.get("range")
            wanted = None if limits is None else self._wanted(value, limits)
            if wanted is not None:
                faults[one.name] = f"expected {path} {wanted}; got {value!r}"
        for name, method in _relations(own).items():
            fault = None if faults.keys() & method.names else method(self)
            if fault is not None:
                faults[name] = fault
        if faults:
            raise ValueError(self._prefix + "; ".join(faults.values()))

    def _wanted(self, value: float, limits: Range) -> str | None:
        """The expectation that a number out of range violates."""
        if value < limits.low or (limits.above and value == limits.low):
            return f"> {limits.low}" if limits.above else self._least.format(limits.low)
        if value > limits.high:
            return f"of at most {limits.high}"
        if limits.parity is not None and value % 2 != limits.parity:
            return f"to be {'odd' if limits.parity else 'even'}"
        return None


def renamed(section: _Section) -> _Section:
    """Let a :class:`Section` be made and read by the former names of its fields, ``former``.

    :func:`from_plain` takes them from files of every age. Python calls and attributes warn.
    """
    make: Callable[..., None] = section.__init__
    names = {one.name for one in fields(section)}  # type: ignore[arg-type]

    @wraps(make)
    def __init__(self: Section, *args: Any, **values: Any) -> None:
        for old in filter(values.__contains__, section.former):
            new, _ = section.former[old]
            warn_of(old, new)
            if values.keys() >= names:  # of `dataclasses.replace`, which passes every field
                del values[new]
        values, faults = _by_todays_names(section, values)
        if faults:
            raise ValueError(section._prefix + "; ".join(faults))
        make(self, *args, **values)

    section.__init__ = __init__  # type: ignore[method-assign, assignment]
    for old in section.former:
        setattr(section, old, property(_former_value(old, *section.former[old])))
    return section


def todays_names(section: type[Section], names: Iterable[str]) -> list[str]:
    """Names of fields; a former one warns and is replaced by today's."""
    found = []
    for name in names:
        new = section.former[name][0] if name in section.former else name
        if new != name:
            warn_of(name, new)
        found.append(new)
    return found


def _former_value(old: str, new: str, meanings: Mapping[str, Any]) -> Callable[[Any], str]:
    """What reads a field by its former name."""

    def value(section: Any) -> str:
        warn_of(old, new)
        return next(name for name, today in meanings.items() if today == getattr(section, new))

    return value


def _by_todays_names(
    section: type[Section], values: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The values of a section's fields by the names of today, and faults of the former ones."""
    found, faults = dict(values), []
    for old, (new, meanings) in section.former.items():
        if old not in values:
            continue
        value, path = found.pop(old), f"{section.section}.{old}"
        if new in values:
            today = f"{section.section}.{new}"
            faults.append(f"expected {today} alone; got {path}, its former name, too")
        elif isinstance(value, str) and value in meanings:
            found[new] = meanings[value]
        else:
            known = " or ".join(map(repr, meanings))
            faults.append(f"expected {path} {known}; got {value!r:.100}")
    return found, faults


def from_plain(section: Any, values: Any) -> Any:
    """Make a section from the values of a file.

    A number that YAML reads as a string, such as ``1e-3``, is converted. Former names of fields
    (:func:`renamed`) mean what they meant.

    Args:
        section: subclass of :class:`Section`.
        values: values of its fields by name; missing fields have their defaults, None is all
            defaults.

    Raises:
        ValueError: ``values`` is not a mapping, or has an unknown field, an empty field that needs
            a value, or a wrong value; names every fault.
    """
    values, faults = _by_todays_names(section, plain_fields(section, values))
    kinds = {one.name: kinds for one, kinds in _kinds(section).items()}
    known = {name: _read(value, kinds[name]) for name, value in values.items() if name in kinds}
    faults += [
        f"expected fields of {section.section} among {', '.join(kinds)}; got "
        f"{section.section}.{name:.100}"
        for name in values
        if name not in kinds
    ]
    try:
        made = section(**known)
    except ValueError as error:
        faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    return made


def plain_fields(section: Any, values: Any) -> dict[str, Any]:
    """The values of a section's fields; an empty dict for None.

    Raises:
        ValueError: ``values`` is not a mapping.
    """
    if values is not None and not isinstance(values, Mapping):
        raise ValueError(f"expected keys and values in {section.section}; got {values!r:.100}")
    return dict(values or {})


@cache
def _relations(section: Any) -> dict[str, Any]:
    """The methods marked as :func:`relation`, by name."""
    attributes = {name: getattr(section, name) for name in dir(section)}
    return {name: method for name, method in attributes.items() if hasattr(method, "names")}


@cache
def _kinds(section: Any) -> dict[Field[Any], tuple[Any, ...]]:
    """The types that the value of each field may have."""
    hints = get_type_hints(section)
    kinds = {}
    for one in fields(section):
        hint = hints[one.name]
        kinds[one] = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return kinds


def _typed(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Convert a value to one of some types.

    Raises:
        ValueError: the value has none of these types.
    """
    if value is None and type(None) in kinds:
        return value
    kind = kinds[0]
    if get_origin(kind) is Literal:
        known = get_args(kind)
        if isinstance(value, str) and value in known:
            return value
        raise ValueError(f"{' or '.join(map(repr, known))}; got {value!r:.100}")
    if get_origin(kind) is tuple and isinstance(value, list | tuple):
        return tuple(_typed(item, get_args(kind)[:1]) for item in value)
    if kind is str and isinstance(value, str | os.PathLike):
        if os.fspath(value) == "":
            raise ValueError("to be a path or a name; got an empty string")
        return os.fspath(value)
    if kind in _CHECKS:
        check, name = _CHECKS[kind]
        with suppress(ValueError, OverflowError):  # OverflowError: very large whole numbers
            made = kind(check(value, name))
            if math.isfinite(made):
                return made
    else:
        name = "a string" if kind is str else "a list"
    raise ValueError(f"to be {name}; got {shown(value)}")


_CHECKS: dict[Any, tuple[Callable[[Any, str], Any], str]] = {
    int: (whole, "a whole number"),
    float: (real, "a finite number"),
    bool: (truth, "true or false"),
}


def _read(value: Any, kinds: tuple[Any, ...]) -> Any:
    """Convert a string to the expected kind if possible; YAML reads ``1e-3`` as a string."""
    if not isinstance(value, str) or kinds[0] not in (int, float, bool):
        return value
    if kinds[0] is bool:
        return {"true": True, "false": False}.get(value.lower(), value)
    try:
        return int(value, 0) if kinds[0] is int else float(value)
    except ValueError:
        return value

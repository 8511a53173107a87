"""The families of WaveGlow's checkpoints, as data, and where each keeps the canonical tensors."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from typing import NamedTuple

_FIELD = re.compile(r"\{(\w+)\}")
_TENSOR = r"(?P<tensor>\.(?:bias|weight|weight_[gv]|parametrizations\.weight\.original[01]))?"


@dataclass(frozen=True)
class Family:
    """A row of :data:`FAMILIES`.

    The canonical names are those of ``nvidia``. In a template of names, ``{flow}`` and ``{layer}``
    are any number, ``{last}`` is the number of the last layer, and another ``{word}`` is any text.

    Attributes:
        description: project of the checkpoints, in a line.
        names: template of a canonical layer, or of a tensor: its template in the file. The rows
            apply one after the other; the first one shows the family. ``"a + b"`` joins the rows
            of two tensors, and so does a ``{layer}`` or ``{flow}`` that only the file has, for all
            numbers. One that only the canonical name has cuts a tensor into equal parts. A row
            does not apply to a file with its canonical names.
        modules: modules of the classes of a model that is saved whole.
        unused: templates of tensors that synthesis does not need.
        like: families whose names it has. The class of the model, or the user, decides.
        swap_odd: whether every second flow moves the first half of the channels.
    """

    description: str
    names: Mapping[str, str] = field(default_factory=dict)
    modules: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    like: tuple[str, ...] = ()
    swap_odd: bool = False


_LAYERED = {"{net}.{flow}.cond_layer": "{net}.{flow}.cond_layers.{layer}"}
_SPLIT = {
    "{net}.{flow}.res_skip_layers.{last}": "{net}.{flow}.skip_layers.{last}",
    "{net}.{flow}.res_skip_layers.{layer}": "{net}.{flow}.res_layers.{layer} + "
    "{net}.{flow}.skip_layers.{layer}",
}
FAMILIES = {
    "nvidia": Family(
        "NVIDIA/waveglow since 2019: one cond_layer per flow",
        modules=("glow",),
    ),
    "dle": Family(
        "NVIDIA/DeepLearningExamples, NVIDIA/waveglow of early 2019: one cond_layer per layer",
        _LAYERED,
        modules=("waveglow.model",),
    ),
    "oldest": Family("NVIDIA/waveglow of 2018: res_layers and skip_layers", _SPLIT | _LAYERED),
    "glow_old": Family(
        "NVIDIA/waveglow's glow_old.py: every second flow moves the other half",
        modules=("glow_old",),
        like=("nvidia", "dle", "oldest"),
        swap_odd=True,
    ),
    "nemo": Family(
        "NVIDIA NeMo: wavenet in place of WN",
        {"WN.{flow}.{rest}": "wavenet.{flow}.{rest}", **_SPLIT, **_LAYERED},
        unused=(
            "convinv.{flow}.inv_conv.weight",  # inverse matrices, saved after a synthesis
            "audio_to_melspec_precessor.{rest}",
            "audio_to_melspec_preprocessor.{rest}",
        ),
    ),
}
"""Families of checkpoints. If the names show several of them, the last one counts."""


class Place(NamedTuple):
    """A layer or tensor of a file, or one of the equal ``parts`` of its rows."""

    name: str
    part: int = 0
    parts: int = 1


def places(table: Mapping[str, str], name: str, counts: Mapping[str, int]) -> list[Place]:
    """Where a file keeps a canonical layer or tensor, in the order of its rows.

    Args:
        table: templates, as in ``Family.names``.
        name: canonical name.
        counts: numbers of ``flow`` and ``layer`` in the file, as far as they are known.
    """
    found = [Place(name)]
    for canonical, held in table.items():
        found = [new for place in found for new in _held(place, canonical, held, counts)]
    return found


def _held(place: Place, canonical: str, held: str, counts: Mapping[str, int]) -> list[Place]:
    """The places of a row's template."""
    match = _pattern(canonical).fullmatch(place.name)
    last = counts.get("layer", 0) - 1
    if not match or int(match.groupdict().get("last", last)) != last:
        return [place]
    bound = match.groupdict("")
    tensor, (_, part, parts) = bound.pop("tensor"), place
    for number in ("layer", "flow"):
        if number in bound and number not in _FIELD.findall(held):
            count = counts.get(number, 1)
            part, parts = part + parts * int(bound[number]), parts * count
    found = []
    for template in held.split(" + "):
        free = [word for word in _FIELD.findall(template) if word not in bound]
        for numbers in product(*(range(counts.get(word, 1)) for word in free)):
            values = bound | dict(zip(free, map(str, numbers), strict=True))
            found.append(Place(template.format(**values) + tensor, part, parts))
    return found


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """The names of layers or tensors of a template, and those of the tensors of its layers."""
    texts = _FIELD.split(template)
    for i, text in enumerate(texts):
        kind = r"\d+" if text in ("flow", "layer", "last") else ".+"
        texts[i] = f"(?P<{text}>{kind})" if i % 2 else re.escape(text)
    return re.compile("".join(texts) + _TENSOR)


def family_of(names: Collection[str]) -> str:
    """The family that the names in a state dict show, or ``nvidia``."""
    for name, family in reversed(FAMILIES.items()):
        for canonical, held in list(family.names.items())[:1]:
            shown = any(map(_pattern(held.partition(" + ")[0]).fullmatch, names))
            if shown and not _is_canonical(canonical, held, names):
                return name
    return "nvidia"


def table_of(names: Collection[str]) -> dict[str, str]:
    """The rows of the family of a state dict that apply to it."""
    rows = FAMILIES[family_of(names)].names.items()
    return {left: right for left, right in rows if not _is_canonical(left, right, names)}


def _is_canonical(canonical: str, held: str, names: Collection[str]) -> bool:
    """Whether a file has canonical names of a row, which are not those of the row in a file."""
    own = [_pattern(template) for template in held.split(" + ")]
    found = filter(_pattern(canonical).fullmatch, names)
    return any(not any(pattern.fullmatch(name) for pattern in own) for name in found)


def is_unused(name: str) -> bool:
    """Whether no family needs a tensor for synthesis."""
    templates = (template for family in FAMILIES.values() for template in family.unused)
    return any(_pattern(template).fullmatch(name) for template in templates)


def class_pattern(*families: str) -> str:
    """A pattern of the names of the classes of families, for any path that imports them."""
    modules = [re.escape(module) for name in families for module in FAMILIES[name].modules]
    return rf"(\w+\.){{0,3}}({'|'.join(modules)})\.[A-Z]\w*" if modules else ""


def choose_family(
    names: Collection[str], *, class_name: str | None, wanted: str | None
) -> tuple[str, str | None]:
    """The family of a checkpoint, and another one that it could be; None if it is certain.

    Args:
        names: names in the state dict.
        class_name: class of the saved module; None for a state dict.
        wanted: family that the user names; None detects it.

    Raises:
        ValueError: ``wanted`` is unknown, or contradicts the names or the class.
    """
    if wanted is not None and wanted not in FAMILIES:
        raise ValueError(f"expected a family among {', '.join(FAMILIES)}; got {wanted!r}")
    detected = family_of(names)
    alike = [name for name, family in FAMILIES.items() if detected in family.like]
    if class_name is not None:
        same = (name for name in alike if re.fullmatch(class_pattern(name), class_name))
        detected, alike = next(same, detected), []
    if wanted not in (None, detected, *alike):
        raise ValueError(f"expected the family {detected}, from its names; got --family {wanted}")
    # canonical names are newer than the families that are like others
    certain = wanted is not None or not alike or not FAMILIES[detected].names
    return wanted or detected, None if certain else alike[0]

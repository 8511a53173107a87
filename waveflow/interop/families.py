"""The forms in which WaveGlow's weights are found, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

FAMILIES = {
    "nvidia": "NVIDIA/waveglow since 2019: one cond_layer a flow",
    "dle": "NVIDIA/DeepLearningExamples, NVIDIA/waveglow of early 2019: a cond_layer a layer",
    "oldest": "NVIDIA/waveglow of 2018: res_layers and skip_layers",
    "glow_old": "NVIDIA/waveglow's glow_old.py: every second flow moves the other half",
    "nemo": "NVIDIA NeMo: wavenet for WN",
}
"""Families of checkpoints."""


@dataclass(frozen=True)
class Form:
    """How a family names and cuts its tensors.

    Attributes:
        network: name of the couplings' networks.
        fused: whether a flow has one ``cond_layer`` for all layers.
        split: whether residual and skip are two layers.
    """

    network: str
    fused: bool
    split: bool

    @property
    def family(self) -> str:
        """The family, as far as names tell; those of ``glow_old`` are the same as others'."""
        if self.network == "wavenet":
            return "nemo"
        return "oldest" if self.split else "nvidia" if self.fused else "dle"


def form_of(names: Iterable[str]) -> Form:
    """The form of a state dict; what does not fit into it is for the reader to tell."""
    parts = {re.sub(r"\.\d+\.", ".", name, count=1) for name in names}
    network = "wavenet" if any(part.startswith("wavenet.") for part in parts) else "WN"
    return Form(
        network,
        fused=any(part.startswith(f"{network}.cond_layer.") for part in parts),
        split=any(part.startswith(f"{network}.skip_layers.") for part in parts),
    )


def choose_family(form: Form, *, class_name: str | None, wanted: str | None) -> tuple[str, bool]:
    """The family of a checkpoint, and whether that could be told.

    Args:
        form: its form.
        class_name: of the module that was saved, if one was.
        wanted: the family that the user says it is, if any.

    Raises:
        ValueError: an unknown family, or one that its names or its class contradict.
    """
    if wanted is not None and wanted not in FAMILIES:
        raise ValueError(f"expected a family among {', '.join(FAMILIES)}; got {wanted!r}")
    found = form.family
    if class_name is not None and ".glow_old." in f".{class_name}":
        found = "glow_old"
    fits = wanted in (None, found) or (wanted == "glow_old" and class_name is None)
    if not fits or (wanted == "glow_old" and found == "nemo"):
        raise ValueError(f"expected the family {found}, by its names; got --family {wanted}")
    certain = wanted is not None or class_name is not None or found in ("nvidia", "nemo")
    return wanted or found, certain

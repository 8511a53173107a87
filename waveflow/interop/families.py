"""The forms of WaveGlow's weights, detected by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

FAMILIES = {
    "nvidia": "NVIDIA/waveglow since 2019: one cond_layer per flow",
    "dle": "NVIDIA/DeepLearningExamples, NVIDIA/waveglow of early 2019: one cond_layer per layer",
    "oldest": "NVIDIA/waveglow of 2018: res_layers and skip_layers",
    "glow_old": "NVIDIA/waveglow's glow_old.py: every second flow moves the other half",
    "nemo": "NVIDIA NeMo: wavenet in place of WN",
}
"""Families of checkpoints, with their descriptions."""


@dataclass(frozen=True)
class Form:
    """The names and shapes of a family's tensors.

    Attributes:
        network: name of the couplings' networks.
        fused: whether a flow has one ``cond_layer`` for all layers.
        split: whether residual and skip connections are two layers.
    """

    network: str
    fused: bool
    split: bool

    @property
    def family(self) -> str:
        """The family that the names show; ``glow_old`` has the names of other families."""
        if self.network == "wavenet":
            return "nemo"
        return "oldest" if self.split else "nvidia" if self.fused else "dle"


def form_of(names: Iterable[str]) -> Form:
    """The form of a state dict; the reader reports names that do not fit it."""
    parts = {re.sub(r"\.\d+\.", ".", name, count=1) for name in names}
    network = "wavenet" if any(part.startswith("wavenet.") for part in parts) else "WN"
    return Form(
        network,
        fused=any(part.startswith(f"{network}.cond_layer.") for part in parts),
        split=any(part.startswith(f"{network}.skip_layers.") for part in parts),
    )


def choose_family(form: Form, *, class_name: str | None, wanted: str | None) -> tuple[str, bool]:
    """The family of a checkpoint, and whether it is certain.

    Args:
        form: form of the checkpoint.
        class_name: class of the saved module; None for a state dict.
        wanted: family that the user names; None detects it.

    Raises:
        ValueError: ``wanted`` is unknown, or contradicts the names or the class.
    """
    if wanted is not None and wanted not in FAMILIES:
        raise ValueError(f"expected a family among {', '.join(FAMILIES)}; got {wanted!r}")
    detected = form.family
    if class_name is not None and ".glow_old." in f".{class_name}":
        detected = "glow_old"
    fits = wanted in (None, detected) or (wanted == "glow_old" and class_name is None)
    if not fits or (wanted == "glow_old" and detected == "nemo"):
        raise ValueError(f"expected the family {detected}, from its names; got --family {wanted}")
    certain = wanted is not None or class_name is not None or detected in ("nvidia", "nemo")
    return wanted or detected, certain

"""Small vocoders of every kind, for the frozen form of each."""

import dataclasses

import pytest

from tests.conftest import SMALL, randomise, small_config
from waveflow import Vocoder

KINDS = [
    *((name, False, "hop") for name in SMALL),
    *((name, True, "hop") for name in ("waveglow", "squeezewave", "lapflow", "source_filter")),
    ("lapflow", False, "centred"),
]
"""Model, whether causal (then with silent edges of the mel, too), framing of the mel."""


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def small(request):
    """A small vocoder off its initial state, which synthesises with three iterations."""
    name, causal, framing = request.param
    config = small_config(name)
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, causal=causal),
        mel=dataclasses.replace(
            config.mel, framing=framing, edges="zeros" if causal else "reflect"
        ),
        synthesis=dataclasses.replace(config.synthesis, consistency=3),
    )
    return randomise(Vocoder(config), 0.05).eval()

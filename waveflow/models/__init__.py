"""Builders of the models; each follows the figure of its paper and returns a bijection on audio."""

from waveflow.models.glow import glow
from waveflow.models.lapflow import lapflow
from waveflow.models.nice import nice
from waveflow.models.realnvp import realnvp
from waveflow.models.source_filter import source_filter
from waveflow.models.squeezewave import squeezewave
from waveflow.models.waveglow import waveglow

__all__ = ["glow", "lapflow", "nice", "realnvp", "source_filter", "squeezewave", "waveglow"]

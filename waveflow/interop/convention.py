"""Mel conventions: a front end, and the form of its values."""

from __future__ import annotations

from functools import cache

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.audio.mel_values import MelConvention, widest_band

__all__ = ["MelConvention", "front_end", "widest_band"]


@cache
def front_end(config: MelConfig) -> LogMel:
    """The front end of a config, in float32."""
    return LogMel(config).float()

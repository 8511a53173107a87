"""Sound files, and mel spectrograms with their named conventions."""

from waveflow.audio.check import MelWarning, check_mel
from waveflow.audio.consistency import MelConsistency
from waveflow.audio.mel import MEL_CONVENTIONS, LogMel, MelConfig
from waveflow.audio.reading import read_audio
from waveflow.audio.sample_rate import resample
from waveflow.audio.writing import write_audio

__all__ = [
    "MEL_CONVENTIONS",
    "LogMel",
    "MelConsistency",
    "MelConfig",
    "MelWarning",
    "check_mel",
    "read_audio",
    "resample",
    "write_audio",
]

"""Sound in and out of files, and the mel spectrogram with its named conventions."""

from waveflow.audio.check import MelWarning, check_mel
from waveflow.audio.consistency import MelConsistency
from waveflow.audio.io import read_audio, resample, write_audio
from waveflow.audio.mel import MEL_CONVENTIONS, LogMel, MelConfig

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

"""waveflow: a flow-based neural vocoder with an exact likelihood.

>>> import waveflow
>>> vocoder = waveflow.Vocoder.from_pretrained("ljspeech")
"""

from waveflow.audio.mel import MEL_CONVENTIONS, LogMel, MelConfig
from waveflow.config import MODELS, VocoderConfig
from waveflow.flow import Flow, Gaussian
from waveflow.version import __version__
from waveflow.vocoder import Vocoder

__all__ = [
    "MEL_CONVENTIONS",
    "MODELS",
    "Flow",
    "Gaussian",
    "LogMel",
    "MelConfig",
    "Vocoder",
    "VocoderConfig",
    "__version__",
]

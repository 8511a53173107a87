"""waveflow: a flow-based neural vocoder with an exact likelihood.

>>> import waveflow
>>> vocoder = waveflow.Vocoder.from_pretrained("ljspeech")
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from waveflow.moved import FormerNames
from waveflow.version import __version__

if TYPE_CHECKING:
    from waveflow.audio.mel import MEL_CONVENTIONS, LogMel, MelConfig
    from waveflow.config import MODELS, VocoderConfig
    from waveflow.flow import Flow, Gaussian
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

_WHERE = {
    "MEL_CONVENTIONS": "audio.mel",
    "MODELS": "config",
    "Flow": "flow",
    "Gaussian": "flow",
    "LogMel": "audio.mel",
    "MelConfig": "audio.mel",
    "Vocoder": "vocoder",
    "VocoderConfig": "config",
}

sys.meta_path.insert(0, FormerNames())


def __getattr__(name: str) -> Any:
    """Load torch at the first use of what needs it: a command must answer to Ctrl-C before."""
    if name in _WHERE:
        found = getattr(import_module(f"waveflow.{_WHERE[name]}"), name)
        globals()[name] = found
        return found
    public = name.isidentifier() and not name.startswith("_")
    if public and find_spec(f"{__name__}.{name}") is not None:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

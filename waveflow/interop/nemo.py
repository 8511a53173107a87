"""The mel conventions of NeMo's models, from their configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from waveflow.audio.mel import MelConfig


def mel_of_config(config: Any) -> tuple[MelConfig | None, list[str]]:
    """The mel convention of a configuration of NeMo.

    Args:
        config: content of the YAML file.

    Returns:
        The convention, or None if the config gives no numeric sizes; and the settings that
        waveflow cannot represent, such as ``preemph 0.97``.

    Raises:
        ValueError: the numbers are not those of a mel.
    """
    given = _mapping(_mapping(config).get("preprocessor"))
    given = {**given, **_mapping(given.get("params"))}
    numbers: dict[str, Any] = {ours: given.get(theirs) for ours, theirs in _FIELDS.items()}
    if "features" in given:
        numbers["n_mels"] = given["features"]
    rate = numbers["sample_rate"]
    if "highfreq" in given and given["highfreq"] is None and type(rate) is int:
        numbers["f_max"] = rate / 2
    if not all(type(value) in (int, float) for value in numbers.values()):
        return None, []
    whole = ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels")
    if not all(type(numbers[name]) is int and numbers[name] <= 2**16 * 3 for name in whole):
        raise ValueError("model_config.yaml: expected a mel of usual sizes in whole numbers")
    mel = replace(MelConfig.named("nvidia-22k"), **numbers)
    odd = [
        f"{name} {_short(given[name])}"
        for name, usual in _USUAL.items()
        if given.get(name, usual) != usual and (given[name] or usual)
    ]
    return mel, odd


_FIELDS = {
    "sample_rate": "sample_rate",
    "n_fft": "n_fft",
    "win_length": "n_window_size",
    "hop_length": "n_window_stride",
    "n_mels": "nfilt",
    "f_min": "lowfreq",
    "f_max": "highfreq",
    "clamp": "log_zero_guard_value",
}
_USUAL = {"preemph": None, "normalize": None, "mag_power": 1.0, "log": True, "window": "hann"}


def _short(value: Any) -> str:
    """A value as short text for a message."""
    if isinstance(value, str):
        return ascii(value[:40])
    return str(value) if isinstance(value, float | bool | None) else "of another kind"


def _mapping(values: Any) -> dict[Any, Any]:
    return values if isinstance(values, dict) else {}

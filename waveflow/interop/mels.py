"""The mel conventions of other projects, and conversions between them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from waveflow.audio.check import MelWarning, diagnose_mel
from waveflow.audio.fields import todays_names
from waveflow.audio.mel_conventions import CONVENTIONS, MelConfig, named
from waveflow.interop.convention import MelConvention, front_end

__all__ = [
    "CONVENTIONS",
    "FLOORS",
    "convention",
    "convert",
    "converter",
    "differing",
    "exact_between",
    "lag",
]

FLOORS = ("power_floor", "clamp")
"""The fields of a front end that affect only nearly silent bands."""


def convention(name_or_config: str | MelConvention | MelConfig) -> MelConvention:
    """A convention by its name; a front end stands for its natural logarithm.

    Raises:
        ValueError: the name is unknown.
    """
    if isinstance(name_or_config, MelConvention):
        return name_or_config
    if isinstance(name_or_config, MelConfig):
        return MelConvention(name_or_config)
    return named(name_or_config)


def differing(
    source: str | MelConvention | MelConfig, target: str | MelConvention | MelConfig
) -> list[str]:
    """The names of the front ends' fields that differ and that no arithmetic can convert.

    The list is empty if :func:`convert` can convert.
    """
    one, other = convention(source).front_end, convention(target).front_end
    return [name for name in one.differing(other) if name not in FLOORS]


def exact_between(
    source: str | MelConvention | MelConfig, target: str | MelConvention | MelConfig
) -> tuple[float, float]:
    """The natural logarithms between which a conversion is exact.

    They are the higher floor and the lower ceiling of the two conventions.
    """
    one, other = convention(source), convention(target)
    return max(one.floor(), other.floor()), min(one.ceiling(), other.ceiling())


def lag(source: str | MelConvention | MelConfig, target: str | MelConvention | MelConfig) -> int:
    """Delay, in samples, of audio that a ``target`` vocoder makes from frames of ``source``.

    Centred frames are half a hop earlier in the audio than frames of hops, and are otherwise the
    same. So if only ``center`` differs, convert the mel with ``allow=("center",)`` and move the
    sound by this delay. A negative delay means that the sound is early.
    """
    one, other = convention(source).front_end, convention(target).front_end
    return (one.center - other.center) * (other.hop_length // 2)


def convert(
    mel: Tensor,
    source: str | MelConvention | MelConfig,
    target: str | MelConvention | MelConfig,
    *,
    allow: Sequence[str] = (),
) -> Tensor:
    """Convert a mel from one convention to another exactly, or raise an error.

    The base of the logarithm, decibels, normalisation and the order of axes are converted. Values
    below the floor of either convention (:func:`exact_between`) become the floor, or are not exact.

    Args:
        mel: mel in ``source``, (batch, n_mels, frames) or (n_mels, frames); with
            ``source.frames_first`` the last two axes are exchanged.
        source: convention of ``mel``: a name of :data:`CONVENTIONS`, a convention, or a front end,
            which stands for its natural logarithm.
        target: convention of the result, such as ``vocoder.config.mel``.
        allow: fields that may differ, such as ``("window",)``; their difference stays in the mel.

    Returns:
        The mel in ``target``, on the device and of the type of ``mel``.

    Raises:
        ValueError: the conventions cannot be converted; names the fields that differ.
        MelWarning: (a warning) the values are implausible for speech in ``source``.

    >>> import torch
    >>> mel = -5.5 + 2 * torch.randn(80, 200)
    >>> decimal = MelConvention(MelConfig(), gain=1 / math.log(10))
    >>> torch.allclose(convert(mel / math.log(10), decimal, "hifigan-22k"), mel.clamp_min(-11.5129))
    True
    >>> convert(mel, "espnet-22k", "hifigan-22k")
    Traceback (most recent call last):
    ...
    ValueError: mel: espnet-22k cannot become hifigan-22k: f_min 80.0, expected 0.0; ...

    """
    converted = converter(source, target, allow=allow)(mel)
    one = convention(source)
    log_mel = one.read(mel)
    for example in log_mel.reshape(-1, *log_mel.shape[-2:]):
        if (reason := diagnose_mel(example, front_end(one.front_end))) is not None:
            warnings.warn(reason, MelWarning, stacklevel=2)
    return converted


def converter(
    source: str | MelConvention | MelConfig,
    target: str | MelConvention | MelConfig,
    *,
    allow: Sequence[str] = (),
) -> Callable[[Tensor], Tensor]:
    """A function that converts mels or slices of mels like :func:`convert`, without its warning.

    Raises:
        ValueError: the conventions cannot be converted; names the fields that differ.
    """
    one, other = convention(source), convention(target)
    allow = todays_names(MelConfig, allow)
    faults = "; ".join(
        f"{name} {getattr(one.front_end, name)}, expected {getattr(other.front_end, name)}"
        for name in differing(one, other)
        if name not in allow
    )
    if faults:
        raise ValueError(
            f"mel: {_name(source)} cannot become {_name(target)}: {faults}. No arithmetic converts "
            "one to the other: use a vocoder of that convention, or compute the mel from audio"
        )
    return partial(_converted, one, other)


def _converted(one: MelConvention, other: MelConvention, mel: Tensor) -> Tensor:
    return other.write(one.read(mel).clamp_min(math.log(other.front_end.clamp)))


def _name(value: object) -> str:
    if isinstance(value, str):
        return value
    for name, known in CONVENTIONS.items():
        if isinstance(value, MelConvention):
            value = replace(value, frames_first=known.frames_first, used_by=known.used_by)
        if value in (known, known.front_end):
            return name
    return "this convention"

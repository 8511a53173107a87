"""The mel conventions of other projects, and which can become which."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from waveflow.audio.check import MelWarning, doubt
from waveflow.audio.mel import MEL_CONVENTIONS, MelConfig
from waveflow.interop.convention import MelConvention, front_end

FLOORS = ("power_floor", "clamp")
"""The fields of a front end that matter to nearly silent bands alone."""


def _tables() -> dict[str, MelConvention]:
    known = MEL_CONVENTIONS
    decimal = 1 / math.log(10)
    hifigan = MelConvention(known["hifigan-22k"])
    nvidia = MelConvention(known["nvidia-22k"])
    return {
        "hifigan-22k": replace(hifigan, used_by="HiFi-GAN, BigVGAN base, iSTFTNet"),
        "matcha-22k": replace(
            hifigan.normalised(-5.536622, 2.116101),
            used_by="Matcha-TTS before it undoes its own normalisation (afterwards: hifigan-22k)",
        ),
        "nvidia-22k": replace(
            nvidia,
            used_by="NVIDIA Tacotron 2 and WaveGlow, SpeechBrain, torchaudio's Griffin-Lim bundles",
        ),
        "bigvgan-22k-nyquist": MelConvention(
            known["bigvgan-22k-nyquist"], used_by="BigVGAN v2, 22 kHz, full band"
        ),
        "bigvgan-24k": MelConvention(known["bigvgan-24k"], used_by="BigVGAN, 24 kHz"),
        "bigvgan-44k": MelConvention(known["bigvgan-44k"], used_by="BigVGAN v2, 44 kHz"),
        "nemo-fastpitch-22k": MelConvention(
            known["nemo-fastpitch-22k"], guard=1e-5, used_by="NeMo FastPitch"
        ),
        "nemo-hifigan-22k": MelConvention(
            known["nemo-hifigan-22k"], used_by="NeMo HiFi-GAN's own training mels"
        ),
        "torchaudio-wavernn-22k": MelConvention(
            known["torchaudio-wavernn-22k"], used_by="torchaudio's WaveRNN bundles"
        ),
        "espnet-22k": MelConvention(
            known["espnet-22k"],
            gain=decimal,
            frames_first=True,
            used_by="ESPnet 2, ParallelWaveGAN, before normalisation by stats.h5",
        ),
        "espnet-24k": MelConvention(
            known["espnet-24k"],
            gain=decimal,
            frames_first=True,
            used_by="ESPnet 2, ParallelWaveGAN at 24 kHz, before normalisation",
        ),
        "coqui-22k": MelConvention(  # 8 (20 log10 m - 20 + 100) / 100 - 4
            known["coqui-22k"],
            gain=1.6 * decimal,
            offset=2.4,
            low=-4.0,
            high=4.0,
            used_by="Coqui TTS, default audio configuration",
        ),
        "coqui-22k-natural": replace(
            hifigan,
            front_end=replace(known["nvidia-22k"], clamp=1e-8),
            used_by="Coqui TTS with np.log, spec_gain 1, signal_norm false, mel_fmax 8000",
        ),
        "speecht5-16k": MelConvention(
            known["speecht5-16k"],
            gain=decimal,
            frames_first=True,
            used_by="SpeechT5, before its vocoder's mean and scale",
        ),
        "vocos-24k": MelConvention(known["vocos-24k"], used_by="Vocos, 24 kHz"),
    }


CONVENTIONS: dict[str, MelConvention] = _tables()
"""The conventions by name."""


def convention(name_or_config: str | MelConvention | MelConfig) -> MelConvention:
    """A convention by its name; that of a front end alone is its natural logarithm.

    Raises:
        ValueError: no such name.
    """
    if isinstance(name_or_config, MelConvention):
        return name_or_config
    if isinstance(name_or_config, MelConfig):
        return MelConvention(name_or_config)
    if name_or_config not in CONVENTIONS:
        known = ", ".join(CONVENTIONS)
        raise ValueError(f"expected a mel convention among {known}; got {name_or_config!r}")
    return CONVENTIONS[name_or_config]


def differing(
    source: str | MelConvention | MelConfig, target: str | MelConvention | MelConfig
) -> list[str]:
    """The fields of the front ends, by name, that no arithmetic turns into one another.

    Empty where :func:`convert` converts.
    """
    one, other = convention(source).front_end, convention(target).front_end
    return [name for name in one.differing(other) if name not in FLOORS]


def exact_between(
    source: str | MelConvention | MelConfig, target: str | MelConvention | MelConfig
) -> tuple[float, float]:
    """The natural logarithms between which a conversion is exact.

    Below lies the higher of the two conventions' floors, above the lower of their ceilings.
    """
    one, other = convention(source), convention(target)
    return max(one.floor(), other.floor()), min(one.ceiling(), other.ceiling())


def lag(source: str | MelConvention | MelConfig, target: str | MelConvention | MelConfig) -> int:
    """Samples by which sound comes late that a vocoder of ``target`` makes of ``source``'s frames.

    Centred frames stand half a hop earlier in the audio than those of hops, and are otherwise the
    same. So a difference of ``framing`` alone is a matter of time: the mel is converted with
    ``allow=("framing",)``, and the sound moved. Negative where it comes early.
    """
    one, other = convention(source).front_end, convention(target).front_end
    later = (other.framing == "hop") - (one.framing == "hop")
    return later * (other.hop_length // 2)


def convert(
    mel: Tensor,
    source: str | MelConvention | MelConfig,
    target: str | MelConvention | MelConfig,
    *,
    allow: Sequence[str] = (),
) -> Tensor:
    """A mel of one convention as one of another, exactly, or not at all.

    Logarithm's base, decibels, normalisation and the order of axes are converted. What lies below
    the floor of either convention (:func:`exact_between`) is the floor, or undecided.

    Args:
        mel: (batch, n_mels, frames) or (n_mels, frames), or with ``source.frames_first`` those
            two axes exchanged.
        source: what it is: a name of :data:`CONVENTIONS`, a convention, or a front end, whose
            natural logarithm is meant.
        target: what it shall be, such as ``vocoder.config.mel``.
        allow: fields whose difference the caller takes upon himself, such as ``("window",)``.

    Returns:
        The mel of the target; on the same device and of the same type.

    Raises:
        ValueError: conventions that cannot become one another; names the fields that differ.
        MelWarning: (a warning) values that no speech has in the source convention.

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
    one, other = _pair(source, target, allow)
    log_mel = one.read(mel)
    for example in log_mel.reshape(-1, *log_mel.shape[-2:]):
        if (reason := doubt(example, front_end(one.front_end))) is not None:
            warnings.warn(reason, MelWarning, stacklevel=2)
    return _written(log_mel, other)


def converter(
    source: str | MelConvention | MelConfig,
    target: str | MelConvention | MelConfig,
    *,
    allow: Sequence[str] = (),
) -> Callable[[Tensor], Tensor]:
    """What :func:`convert` does to a mel, for many of them, or for slices; it doubts none.

    Raises:
        ValueError: conventions that cannot become one another; names the fields that differ.
    """
    one, other = _pair(source, target, allow)
    return partial(_converted, one, other)


def _pair(
    source: str | MelConvention | MelConfig,
    target: str | MelConvention | MelConfig,
    allow: Sequence[str],
) -> tuple[MelConvention, MelConvention]:
    """Both conventions, of which the first can become the second."""
    one, other = convention(source), convention(target)
    told = "; ".join(
        f"{name} {getattr(one.front_end, name)}, expected {getattr(other.front_end, name)}"
        for name in differing(one, other)
        if name not in allow
    )
    if told:
        raise ValueError(
            f"mel: {_name(source)} cannot become {_name(target)}: {told}. No arithmetic turns one "
            "into the other: use a vocoder of that convention, or make the mel anew from audio"
        )
    return one, other


def _converted(one: MelConvention, other: MelConvention, mel: Tensor) -> Tensor:
    return _written(one.read(mel), other)


def _written(log_mel: Tensor, other: MelConvention) -> Tensor:
    return other.write(log_mel.clamp_min(math.log(other.front_end.clamp)))


def _name(value: object) -> str:
    if isinstance(value, str):
        return value
    for name, known in CONVENTIONS.items():
        if isinstance(value, MelConvention):
            value = replace(value, frames_first=known.frames_first, used_by=known.used_by)
        if value in (known, known.front_end):
            return name
    return "this convention"

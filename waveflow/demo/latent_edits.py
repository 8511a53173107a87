"""Computation of the tab *Latent*: encode recordings, change a latent, and decode it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from waveflow.audio.consistency import MelConsistency
from waveflow.demo.backend import Backend
from waveflow.demo.reading import check_iterations, read_upload
from waveflow.evaluation.recording import Recording
from waveflow.latents import direction, interpolate, move, scale_band, swap_band


@dataclass(frozen=True)
class LatentEdit:
    """A recording, and the sound of its changed latent.

    Attributes:
        sample_rate: sample rate, Hz.
        audio: sound of the changed latent, (time,), in [-1, 1].
        original: recording, (time,).
        deviation: standard deviation of the changed latent; 1 is the model's own.
        note: description of the change, and the length of the sound.
    """

    sample_rate: int
    audio: Tensor
    original: Tensor
    deviation: float
    note: str


def interpolate_recordings(
    backend: Backend,
    model: str,
    one: str | None,
    other: str | None,
    fraction: float,
    consistency: int,
) -> LatentEdit:
    """Move from the latent of one recording towards that of another, with the mel of the first.

    Raises:
        ValueError: an upload is not valid, or the fraction is out of range.
    """
    original, (start, end) = _encode(backend, model, [one, other])
    z = interpolate(start, end, fraction)
    note = f"{fraction:.0%} of the way from A to B with the mel of A"
    return _decode(backend, model, original, z, consistency, note)


def edit_band(
    backend: Backend,
    model: str,
    one: str | None,
    other: str | None,
    band: tuple[float, float],
    factor: float | None,
    consistency: int,
) -> LatentEdit:
    """Scale a band of the latent's channels, or replace it by that of another recording.

    Args:
        backend: the vocoders.
        model: name of a vocoder of the backend.
        one: path of the recording.
        other: path of the recording that the band is taken from; not read if ``factor`` is given.
        band: start and end of the band, as fractions of the channels from 0 to 1.
        factor: scale of the band; None takes the band from ``other``.
        consistency: iterations of mel consistency.

    Raises:
        ValueError: an upload is not valid, or the band is empty.
    """
    original, (z, *others) = _encode(backend, model, [one, other] if factor is None else [one])
    channels = len(z)
    first, stop = (round(fraction * channels) for fraction in band)
    if factor is None:
        z, what = swap_band(z, others[0], first, stop), "taken from B"
    else:
        z, what = scale_band(z, first, stop, factor), f"scaled by {factor:g}"
    note = f"channels {first} to {stop - 1} of {channels} {what}"
    return _decode(backend, model, original, z, consistency, note)


def move_along_direction(
    backend: Backend,
    model: str,
    one: str | None,
    group: Sequence[str] | None,
    other: Sequence[str] | None,
    amount: float,
    consistency: int,
) -> LatentEdit:
    """Move a recording's latent along the difference of the means of two groups.

    Raises:
        ValueError: an upload is not valid, or a group is empty or too large.
    """
    group, other, most = group or (), other or (), backend.limits.group
    if not (0 < len(group) <= most and 0 < len(other) <= most):
        raise ValueError(
            f"expected 1 to {most} recordings in each group; got {len(group)} and {len(other)}"
        )
    original, (z, *latents) = _encode(backend, model, [one, *group, *other])
    difference = direction(latents[: len(group)], latents[len(group) :])
    z = move(z, difference, amount, keep_norm=True)
    note = f"{amount:+g} times the difference of the groups' means ({len(group)} and {len(other)})"
    return _decode(backend, model, original, z, consistency, note)


def _encode(
    backend: Backend, model: str, paths: Sequence[str | None]
) -> tuple[Recording, list[Tensor]]:
    """The first recording and the latents of all, each cut to the length of the shortest."""
    vocoder = backend.vocoder(model)
    recordings = [read_upload(backend, model, path) for path in paths]
    frames = min(recording.mel.shape[-1] for recording in recordings)
    samples = frames * vocoder.config.mel.hop_length
    cut = [replace(one, audio=one.audio[:samples], mel=one.mel[:, :frames]) for one in recordings]
    return cut[0], [vocoder.encode(one.audio[None], one.mel[None])[0] for one in cut]


def _decode(
    backend: Backend, model: str, original: Recording, z: Tensor, consistency: int, note: str
) -> LatentEdit:
    check_iterations(consistency, backend.limits)
    vocoder, mel = backend.vocoder(model), original.mel[None]
    audio = vocoder.decode(z[None], mel)
    if consistency:
        synthesis = vocoder.config.synthesis
        iterate = MelConsistency(backend.log_mel(model), cutoff=synthesis.cutoff)
        audio = iterate(audio, mel, consistency, synthesis.full_band)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio from this latent; got NaN: move it less")
    rate = vocoder.config.mel.sample_rate
    note = f"{note}; {len(original.audio) / rate:.1f} s"
    return LatentEdit(rate, audio[0].clamp(-1, 1), original.audio, torch.std(z).item(), note)

"""Computation of the tab *Latent*: encode recordings, move a latent, and decode it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.audio.consistency import MelConsistency
from waveflow.demo.backend import Backend
from waveflow.demo.reading import read_upload
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


@dataclass(frozen=True)
class _Encoded:
    """The audio (time,), mel (n_mels, frames) and latent (channels, steps) of a recording."""

    audio: Tensor
    mel: Tensor
    z: Tensor


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
    first, second = _encode(backend, model, [one, other])
    z = interpolate(first.z, second.z, fraction)
    note = f"{fraction:.0%} of the way from A to B with the mel of A"
    return _decode(backend, model, first, z, consistency, note)


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
    encoded = _encode(backend, model, [one] if factor is not None else [one, other])
    z = encoded[0].z
    first, stop = (round(fraction * z.shape[0]) for fraction in band)
    if factor is not None:
        z, what = scale_band(z, first, stop, factor), f"scaled by {factor:g}"
    else:
        z, what = swap_band(z, encoded[1].z, first, stop), "taken from B"
    note = f"channels {first} to {stop - 1} of {len(z)} {what}"
    return _decode(backend, model, encoded[0], z, consistency, note)


def move_along_direction(
    backend: Backend,
    model: str,
    one: str | None,
    groups: tuple[Sequence[str] | None, Sequence[str] | None],
    amount: float,
    consistency: int,
) -> LatentEdit:
    """Move a recording's latent along the difference of the means of two groups.

    Raises:
        ValueError: an upload is not valid, or a group is empty or too large.
    """
    sizes = [len(group or ()) for group in groups]
    if not all(0 < size <= backend.limits.group for size in sizes):
        raise ValueError(
            f"expected 1 to {backend.limits.group} recordings in each group; got {sizes[0]} and "
            f"{sizes[1]}"
        )
    paths = [*(groups[0] or ()), *(groups[1] or ())]
    original, *members = _encode(backend, model, [one, *paths])
    latents = [member.z for member in members]
    difference = direction(latents[: sizes[0]], latents[sizes[0] :])
    z = move(original.z, difference, amount, keep_norm=True)
    note = f"{amount:+g} times the difference of the groups' means ({sizes[0]} and {sizes[1]})"
    return _decode(backend, model, original, z, consistency, note)


def _encode(backend: Backend, model: str, paths: Sequence[str | None]) -> list[_Encoded]:
    """Recordings, cut to the length of the shortest, and their latents."""
    vocoder, log_mel = backend.vocoder(model), backend.log_mel(model)
    recordings = [read_upload(path, log_mel, backend.limits) for path in paths]
    frames = min(recording.mel.shape[-1] for recording in recordings)
    samples = frames * vocoder.config.mel.hop_length
    encoded = []
    for recording in recordings:
        audio, mel = recording.audio[:samples], recording.mel[:, :frames]
        encoded.append(_Encoded(audio, mel, vocoder.encode(audio[None], mel[None])[0]))
    return encoded


def _decode(
    backend: Backend, model: str, original: _Encoded, z: Tensor, consistency: int, note: str
) -> LatentEdit:
    if not 0 <= consistency <= backend.limits.consistency:
        raise ValueError(
            f"expected 0 to {backend.limits.consistency} iterations; got {consistency}"
        )
    vocoder = backend.vocoder(model)
    audio = vocoder.decode(z[None], original.mel[None])
    if consistency:
        synthesis = vocoder.config.synthesis
        iterate = MelConsistency(backend.log_mel(model), cutoff=synthesis.cutoff)
        audio = iterate(audio, original.mel[None], consistency, synthesis.full_band)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio from this latent; got NaN: move it less")
    rate = vocoder.config.mel.sample_rate
    seconds = len(original.audio) / rate
    deviation = torch.std(z).item()
    return LatentEdit(
        rate, audio[0].clamp(-1, 1), original.audio, deviation, f"{note}; {seconds:.1f} s"
    )

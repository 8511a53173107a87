"""Computation of the tab *Latent*: encode recordings, move a latent, and decode it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from waveflow.audio.consistency import MelConsistency
from waveflow.demo.reading import read_upload
from waveflow.demo.studio import Studio
from waveflow.latents import direction, interpolate, move, scale_band, swap_band


@dataclass(frozen=True)
class Walk:
    """The start and the end of a walk.

    Attributes:
        sample_rate: sample rate, Hz.
        audio: sound at the end, (time,), in [-1, 1].
        start: recording at the start, (time,).
        deviation: standard deviation of the latent at the end; 1 is the model's own.
        note: description of the walk and its length.
    """

    sample_rate: int
    audio: Tensor
    start: Tensor
    deviation: float
    note: str


@dataclass(frozen=True)
class _Placed:
    """The audio (time,), mel (n_mels, frames) and latent (channels, steps) of a recording."""

    audio: Tensor
    mel: Tensor
    z: Tensor


def walk_between(
    studio: Studio,
    model: str,
    one: str | None,
    other: str | None,
    fraction: float,
    consistency: int,
) -> Walk:
    """Walk from the latent of one recording to that of another, with the mel of the first.

    Raises:
        ValueError: an upload is not valid, or the fraction is out of range.
    """
    first, second = _placed(studio, model, [one, other])
    z = interpolate(first.z, second.z, fraction)
    note = f"{fraction:.0%} of the way from A to B with the mel of A"
    return _arrive(studio, model, first, z, consistency, note)


def walk_band(
    studio: Studio,
    model: str,
    one: str | None,
    other: str | None,
    band: tuple[float, float],
    factor: float | None,
    consistency: int,
) -> Walk:
    """Scale a band of the latent's channels, or replace it by that of another recording.

    Args:
        studio: the vocoders.
        model: name of a vocoder in the studio.
        one: path of the recording.
        other: path of the recording that the band is taken from; not read if ``factor`` is given.
        band: start and end of the band, as fractions of the channels from 0 to 1.
        factor: scale of the band; None takes the band from ``other``.
        consistency: iterations of mel consistency.

    Raises:
        ValueError: an upload is not valid, or the band is empty.
    """
    placed = _placed(studio, model, [one] if factor is not None else [one, other])
    z = placed[0].z
    first, stop = (round(share * z.shape[0]) for share in band)
    if factor is not None:
        z, what = scale_band(z, first, stop, factor), f"scaled by {factor:g}"
    else:
        z, what = swap_band(z, placed[1].z, first, stop), "taken from B"
    note = f"channels {first} to {stop - 1} of {len(z)} {what}"
    return _arrive(studio, model, placed[0], z, consistency, note)


def walk_along(
    studio: Studio,
    model: str,
    one: str | None,
    groups: tuple[Sequence[str] | None, Sequence[str] | None],
    amount: float,
    consistency: int,
) -> Walk:
    """Walk from a recording's latent along the difference of the means of two groups.

    Raises:
        ValueError: an upload is not valid, or a group is empty or too large.
    """
    sizes = [len(group or ()) for group in groups]
    if not all(0 < size <= studio.limits.group for size in sizes):
        raise ValueError(
            f"expected 1 to {studio.limits.group} recordings in each group; got {sizes[0]} and "
            f"{sizes[1]}"
        )
    paths = [*(groups[0] or ()), *(groups[1] or ())]
    start, *placed = _placed(studio, model, [one, *paths])
    way = direction([at.z for at in placed[: sizes[0]]], [at.z for at in placed[sizes[0] :]])
    z = move(start.z, way, amount, keep_norm=True)
    note = f"{amount:+g} times the difference of the groups' means ({sizes[0]} and {sizes[1]})"
    return _arrive(studio, model, start, z, consistency, note)


def _placed(studio: Studio, model: str, paths: Sequence[str | None]) -> list[_Placed]:
    """Recordings, cut to the length of the shortest, and their latents."""
    vocoder, log_mel = studio.vocoder(model), studio.log_mel(model)
    recordings = [read_upload(path, log_mel, studio.limits) for path in paths]
    frames = min(recording.mel.shape[-1] for recording in recordings)
    samples = frames * vocoder.config.mel.hop_length
    placed = []
    for recording in recordings:
        audio, mel = recording.audio[:samples], recording.mel[:, :frames]
        placed.append(_Placed(audio, mel, vocoder.encode(audio[None], mel[None])[0]))
    return placed


def _arrive(
    studio: Studio, model: str, start: _Placed, z: Tensor, consistency: int, note: str
) -> Walk:
    if not 0 <= consistency <= studio.limits.consistency:
        raise ValueError(f"expected 0 to {studio.limits.consistency} iterations; got {consistency}")
    vocoder = studio.vocoder(model)
    audio = vocoder.decode(z[None], start.mel[None])
    if consistency:
        synthesis = vocoder.config.synthesis
        iterate = MelConsistency(studio.log_mel(model), cutoff=synthesis.cutoff)
        audio = iterate(audio, start.mel[None], consistency, synthesis.full_band)
    if not audio.isfinite().all():
        raise ValueError("expected finite audio from this latent; got NaN: move it less")
    rate = vocoder.config.mel.sample_rate
    seconds = len(start.audio) / rate
    deviation = torch.std(z).item()
    return Walk(rate, audio[0].clamp(-1, 1), start.audio, deviation, f"{note}; {seconds:.1f} s")

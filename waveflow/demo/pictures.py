"""Pictures as PNG; each has its own canvas, so threads can draw at the same time."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#7f8594"
"""Colour of labels: readable on a light and on a dark background."""

CURVE, ALARM = "#0d9488", "#e11d63"


def mel_picture(mel: Tensor, *, sample_rate: int, hop_length: int) -> bytes:
    """A picture of a log-mel (n_mels, frames), with the same colour scale for every mel."""
    figure, axis = _canvas(4.4, 2.4, (0.105, 0.215, 0.885, 0.765))
    seconds = mel.shape[-1] * hop_length / sample_rate
    axis.imshow(
        mel.float().numpy(),
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, mel.shape[0]),
        vmin=math.log(1e-5),
        vmax=2.0,
        cmap="magma",
    )
    axis.set_ylabel("mel band", color=INK)
    axis.set_xlabel("seconds", color=INK)
    return _png(figure)


def sound_picture(audio: Tensor, *, sample_rate: int) -> bytes:
    """A spectrogram of audio (time,), in kHz over seconds."""
    figure, axis = _canvas(4.4, 2.4, (0.105, 0.215, 0.885, 0.765))
    _spectrogram(axis, audio, sample_rate)
    axis.set_xlabel("seconds", color=INK)
    axis.set_ylabel("kHz", color=INK)
    return _png(figure)


def curve_picture(
    audio: Tensor,
    nats: Tensor,
    surprise: Tensor,
    *,
    sample_rate: int,
    span: tuple[float, float] | None = None,
) -> bytes:
    """A spectrogram with a curve of nats per sample on it, and a curve of surprise below.

    Args:
        audio: audio, (time,).
        nats: nats per sample, (frames,).
        surprise: surprise in nats per sample, (frames,).
        sample_rate: sample rate, Hz.
        span: start and end of a stretch to mark, seconds.
    """
    figure, above = _canvas(7.2, 4.8, (0.085, 0.43, 0.83, 0.55))
    _spectrogram(above, audio, sample_rate)
    above.set_ylabel("kHz", color=INK)
    above.tick_params(labelbottom=False)
    seconds = len(audio) / sample_rate
    middles = (
        (torch.arange(len(nats), dtype=torch.float32, device="cpu") + 0.5) * seconds / len(nats)
    ).numpy()
    over = above.twinx()
    over.plot(middles, nats.numpy(), color="#5eead4", linewidth=1.6)
    over.set_ylabel("nats / sample", color=CURVE)
    over.tick_params(colors=CURVE, labelsize=10)
    over.spines[:].set_visible(False)
    below = figure.add_axes((0.085, 0.115, 0.83, 0.27))
    _quiet(below)
    below.set_xlim(0, seconds)
    heights = surprise.clamp(-1, 12).numpy()
    below.axhline(0, color=INK, linewidth=0.8)
    below.fill_between(middles, 0, heights, where=heights >= 0, color=ALARM, alpha=0.85)
    below.fill_between(middles, 0, heights, where=heights < 0, color=CURVE, alpha=0.85)
    below.set_yscale("symlog", linthresh=0.1, linscale=1.2)
    ticks = [-1, -0.1, 0, 0.1, 1, 10]
    top = max(0.3, float(heights.max()) * 1.4)
    below.set_yticks([tick for tick in ticks if tick <= top], minor=False)
    below.set_yticklabels([f"{tick:g}".replace("-", "−") for tick in ticks if tick <= top])
    below.yaxis.set_minor_locator(_no_ticks())
    below.set_ylim(min(-0.3, float(heights.min()) * 1.4), top)
    below.set_ylabel("surprise", color=INK)
    below.set_xlabel("seconds", color=INK)
    if span is not None:
        for axis in (above, below):
            for edge in span:
                axis.axvline(edge, color="#f8b84e", linewidth=1.4, linestyle="--")
    return _png(figure)


def _spectrogram(axis: Axes, audio: Tensor, sample_rate: int) -> None:
    hop_length = max(128, len(audio) // 900)
    spectrum = torch.stft(
        audio.float(),
        1024,
        hop_length,
        window=torch.hann_window(1024, dtype=torch.float32, device=audio.device),
        pad_mode="constant",
        return_complex=True,
    )
    level = 20 * spectrum.abs().clamp_min(1e-5).log10()
    extent = (0.0, len(audio) / sample_rate, 0.0, sample_rate / 2000)
    axis.imshow(
        level.numpy(),
        origin="lower",
        aspect="auto",
        extent=extent,
        vmin=-60,
        vmax=30,
        cmap="magma",
    )


def _canvas(
    width: float, height: float, place: tuple[float, float, float, float]
) -> tuple[Figure, Axes]:
    """A figure of ``width`` by ``height`` inches with one pair of axes, without pyplot's state."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'waveflow[demo]'") from error
    figure = Figure(figsize=(width, height))
    axis = figure.add_axes(place)
    _quiet(axis)
    return figure, axis


def _quiet(axis: Axes) -> None:
    axis.set_facecolor("none")
    axis.tick_params(colors=INK, labelsize=10)
    axis.spines[:].set_visible(False)


def _no_ticks() -> Any:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _png(figure: Figure) -> bytes:
    png = BytesIO()
    figure.savefig(png, format="png", dpi=140, transparent=True, pil_kwargs={"compress_level": 1})
    return png.getvalue()

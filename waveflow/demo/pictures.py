"""The demo's pictures, as PNG."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from waveflow.audio.pictures import INK, draw_spectrogram, new_axes, png, quieten, spectrogram

_SIZE, _PLACE = (4.4, 2.4), (0.105, 0.215, 0.885, 0.765)
CURVE, ALARM = "#0d9488", "#e11d63"


def mel_picture(mel: Tensor, seconds: float) -> bytes:
    """A picture of a log-mel (n_mels, frames), with the same colour scale for every mel."""
    figure, axis = new_axes(_SIZE, _PLACE, extra="demo")
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
    return png(figure)


def sound_picture(audio: Tensor, *, sample_rate: int) -> bytes:
    """A spectrogram of audio (time,), in kHz over seconds."""
    return spectrogram(audio, sample_rate, size=_SIZE, place=_PLACE, extra="demo")


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
    figure, above = new_axes((7.2, 4.8), (0.085, 0.43, 0.83, 0.55), extra="demo")
    draw_spectrogram(above, audio, sample_rate)
    above.set_ylabel("kHz", color=INK)
    above.tick_params(labelbottom=False)
    seconds = len(audio) / sample_rate
    middles = (np.arange(len(nats)) + 0.5) * seconds / len(nats)
    over = above.twinx()
    over.plot(middles, nats.numpy(), color="#5eead4", linewidth=1.6)
    over.set_ylabel("nats / sample", color=CURVE)
    over.tick_params(colors=CURVE, labelsize=10)
    over.spines[:].set_visible(False)
    below = figure.add_axes((0.085, 0.115, 0.83, 0.27))
    quieten(below)
    below.set_xlim(0, seconds)
    heights = surprise.clamp(-1, 12).numpy()
    below.axhline(0, color=INK, linewidth=0.8)
    below.fill_between(middles, 0, heights, where=heights >= 0, color=ALARM, alpha=0.85)
    below.fill_between(middles, 0, heights, where=heights < 0, color=CURVE, alpha=0.85)
    below.set_yscale("symlog", linthresh=0.1, linscale=1.2)
    top = max(0.3, float(heights.max()) * 1.4)
    ticks = [tick for tick in (-1, -0.1, 0, 0.1, 1, 10) if tick <= top]
    below.set_yticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    below.minorticks_off()
    below.set_ylim(min(-0.3, float(heights.min()) * 1.4), top)
    below.set_ylabel("surprise", color=INK)
    below.set_xlabel("seconds", color=INK)
    if span is not None:
        for axis in (above, below):
            for edge in span:
                axis.axvline(edge, color="#f8b84e", linewidth=1.4, linestyle="--")
    return png(figure)

"""Spectrograms as pictures, each on a canvas of its own, so that threads can draw at once."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#7f8594"
"""Of labels: readable on a light and on a dark ground."""
SOFTEST, LOUDEST = -60.0, 30.0
"""Levels in dB that are drawn darkest and brightest."""


def levels(audio: Tensor, hop_length: int) -> Tensor:
    """Levels in dB of a narrow-band spectrogram, (time,) -> (513, frames).

    Args:
        audio: (time,).
        hop_length: samples from frame to frame.
    """
    window = torch.hann_window(1024, dtype=torch.float32, device=audio.device)
    spectrum = torch.stft(
        audio.float(), 1024, hop_length, window=window, pad_mode="constant", return_complex=True
    )
    return 20 * spectrum.abs().clamp_min(1e-5).log10()


def draw_spectrogram(axis: Axes, audio: Tensor, sample_rate: int) -> None:
    """Draw the levels of (time,) audio: kHz over seconds, harmonics as lines."""
    shown = levels(audio, max(128, len(audio) // 1000))
    extent = (0.0, len(audio) / sample_rate, 0.0, sample_rate / 2000)
    how = {"vmin": SOFTEST, "vmax": LOUDEST, "cmap": "magma"}
    axis.imshow(shown.cpu().numpy(), origin="lower", aspect="auto", extent=extent, **how)  # type: ignore[arg-type]


def new_axes(
    size: tuple[float, float], place: tuple[float, float, float, float], *, extra: str
) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, without pyplot and its global state.

    Args:
        size: inches across and down.
        place: of the axes in the figure: left, bottom, width and height, from 0 to 1.
        extra: of this package, that installs matplotlib.

    Raises:
        ImportError: matplotlib is missing; says how to install it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(f"pictures need matplotlib: pip install 'waveflow[{extra}]'") from error
    figure = Figure(figsize=size)
    axis = figure.add_axes(place)
    quieten(axis)
    return figure, axis


def quieten(axis: Axes) -> None:
    """Leave out the frame and the ground."""
    axis.set_facecolor("none")
    axis.tick_params(colors=INK, labelsize=10)
    axis.spines[:].set_visible(False)


def spectrogram(
    audio: Tensor,
    sample_rate: int,
    *,
    size: tuple[float, float] = (5, 2.5),
    place: tuple[float, float, float, float] = (0.1, 0.2, 0.89, 0.78),
    extra: str = "evaluate",
) -> bytes:
    """A PNG of (time,) audio: level in dB over seconds and kHz, its labels readable on any ground.

    Arguments and errors are those of :func:`new_axes`.
    """
    figure, axis = new_axes(size, place, extra=extra)
    draw_spectrogram(axis, audio, sample_rate)
    axis.set_xlabel("seconds", color=INK)
    axis.set_ylabel("kHz", color=INK)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as a file that is written quickly."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=140, transparent=True, pil_kwargs={"compress_level": 1})
    return file.getvalue()

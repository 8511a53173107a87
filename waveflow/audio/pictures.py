"""Pictures of spectrograms; each has its own canvas, so threads can draw at the same time."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#7f8594"
"""Colour of labels, readable on a light and on a dark background."""
SOFTEST, LOUDEST = -60.0, 30.0
"""Levels in dB with the darkest and the brightest colour."""


def levels(audio: Tensor, hop_length: int) -> Tensor:
    """Levels in dB of a narrow-band spectrogram, (time,) -> (513, frames).

    Args:
        audio: audio, (time,).
        hop_length: samples from one frame to the next.
    """
    window = torch.hann_window(1024, dtype=torch.float32, device=audio.device)
    spectrum = torch.stft(
        audio.float(), 1024, hop_length, window=window, pad_mode="constant", return_complex=True
    )
    return 20 * spectrum.abs().clamp_min(1e-5).log10()


def draw_spectrogram(axis: Axes, audio: Tensor, sample_rate: int) -> None:
    """Draw the narrow-band spectrogram of audio (time,), in kHz over seconds."""
    shown = levels(audio, max(128, len(audio) // 1000))
    extent = (0.0, len(audio) / sample_rate, 0.0, sample_rate / 2000)
    scale = {"vmin": SOFTEST, "vmax": LOUDEST, "cmap": "magma"}
    axis.imshow(shown.cpu().numpy(), origin="lower", aspect="auto", extent=extent, **scale)  # type: ignore[arg-type]


def new_axes(
    size: tuple[float, float], place: tuple[float, float, float, float], *, extra: str
) -> tuple[Figure, Axes]:
    """A figure with one pair of axes, without pyplot and its global state.

    Args:
        size: width and height of the figure in inches.
        place: left, bottom, width and height of the axes, as fractions of the figure.
        extra: extra of this package that installs matplotlib, for the error.

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
    """Remove the frame and the background of axes."""
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
    """The spectrogram of audio (time,) as PNG, in kHz over seconds, on a transparent background.

    Arguments and errors are those of :func:`new_axes`.
    """
    figure, axis = new_axes(size, place, extra=extra)
    draw_spectrogram(axis, audio, sample_rate)
    axis.set_xlabel("seconds", color=INK)
    axis.set_ylabel("kHz", color=INK)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as PNG, compressed lightly for speed."""
    file = BytesIO()
    figure.savefig(file, format="png", dpi=140, transparent=True, pil_kwargs={"compress_level": 1})
    return file.getvalue()

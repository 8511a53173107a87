"""Mel consistency in few operators, for a GPU."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from waveflow.audio.consistency import MOMENTUM, Step
from waveflow.audio.frames import LEAST_ENERGY, Frames
from waveflow.precision import Durable

LARGEST = 2**25
"""Largest size of the table of the ends; if it would be larger, iterations are plain."""


def few_operators(module: nn.Module) -> nn.Module:
    """The form of a module of mel consistency for a GPU."""
    return WholeStep(module) if type(module) is Step else module


class WholeStep(Step, Durable):
    r"""A :class:`waveflow.audio.consistency.Step` with ten operators in an iteration.

    The audio in the iterations is *continued*: it has the samples beyond its ends that frames see.

    - A frame's window and transform are one matrix, so the spectra of all frames are one product
      of overlapping pieces of audio with it. Real parts, imaginary parts and a constant, the root
      of the floor, stand side by side; the norm over the three is the magnitude.
    - For numbers so small that 1 - x rounds to 1, ``logit`` is a clamp and a logarithm. The bands
      and the target levels are scaled down to that range.
    - The transform back, the window, the sum of overlapping frames and the division by their
      energy are one matrix as well: a hop of audio is the product of the changes of the ``parts``
      frames over it. The audio that is changed is added by the product itself.
    - At the ends some frames are missing, and changes of mirrored samples apply to the samples
      that they mirror. The outermost samples are computed by one more product, of the outermost
      frames with a matrix for each end. The plain step iterates audio that is too short to have
      two separate ends, and audio whose ends would need too large a table.

    Args:
        step: The arithmetic of an iteration.
    """

    filters: Tensor
    analysis: Tensor
    synthesis: Tensor
    ends: Tensor
    hold: Tensor

    def __init__(self, step: Step) -> None:
        super().__init__(step.frames, step.bands)
        frames = copy.deepcopy(step.frames).to("cpu", torch.float64)
        size, hop, bins = frames.size, frames.hop, self.bands.bins
        # hops of the continued audio, less one for each frame
        self.beyond = max(frames.parts - 1, -(-frames.side // hop))
        self.width = max(2 * frames.side, size - hop, self.beyond * hop) + 1
        self.outer = max(-(-self.width // hop), -(-(self.width + size) // hop) - self.beyond - 1)
        self.shortest = max(self.outer, -(-2 * self.width // hop))
        self.few = 2 * self.outer * 2 * bins * self.width <= LARGEST
        if not self.few:
            return
        filters = self.bands.filters.double().mT
        loudest = float(frames.window.sum() * filters.sum(0).max())
        one = -math.log2(torch.finfo(self.bands.filters.dtype).eps / 2)
        self.scale = 2.0 ** -(one + math.ceil(math.log2(loudest)))
        analysis, back = _transform(frames.window, bins)
        padded = functional.pad(back, (0, frames.parts * hop - size)).view(-1, frames.parts, hop)
        padded = padded / frames.full_energy.clamp_min(LEAST_ENERGY)
        synthesis = padded.flip(1).transpose(0, 1).flatten(0, 1)
        tables = {
            "filters": filters * self.scale,
            "analysis": analysis,
            "synthesis": synthesis,
            "ends": torch.stack([self._end(frames, back, last) for last in (False, True)]),
            "hold": self._outermost(self._continued(frames, frames.hold(self.shortest))),
        }
        for name, table in tables.items():
            self.register_buffer(name, table.to(self.bands.filters), persistent=False)

    def forward(self, audio: Tensor, mel: Tensor, iterations: int) -> Tensor:
        """Audio (batch, frames * hop) after some iterations, the first without momentum.

        Args:
            audio: Audio at the rate of the frames, (batch, frames * hop).
            mel: All bands of the mel, (batch, frames, n_mels).
            iterations: Number of iterations.
        """
        batch, steps = mel.shape[:2]
        if not self.few or steps < self.shortest or not iterations:
            return super().forward(audio, mel, iterations)
        bands, parts, bins = self.bands, self.frames.parts, self.bands.bins
        weights, filters = _each(bands.weights, batch), _each(self.filters, batch)
        analysis, synthesis = _each(self.analysis, batch), _each(self.synthesis, batch)
        wanted = torch.bmm(mel[..., bands.rows] + math.log(self.scale), weights)
        planes = audio.new_full((batch, steps, 2 + bool(bands.floor), bins), bands.floor**0.5)
        spectrum = planes.flatten(2)[..., : 2 * bins]
        # changes of frames, and zeros before the first and after the last
        hops = steps + self.beyond
        changes = audio.new_zeros(batch, hops + parts - 1, 2, bins)
        inner = changes[:, parts - 1 : parts - 1 + steps]
        over = changes.flatten(1).unfold(1, parts * 2 * bins, 2 * bins)
        rows = inner.flatten(2)
        outermost = rows.as_strided(
            (2, batch, self.outer * 2 * bins),
            ((steps - self.outer) * 2 * bins, rows.stride(0), 1),
            rows.storage_offset(),
        )
        first = before = audio = self._continued(self.frames, audio)
        for index in range(iterations):
            extrapolated = torch.lerp(before, audio, 1 + MOMENTUM) if index else audio
            cut = extrapolated.unfold(1, self.frames.size, self.frames.hop)[:, :steps]
            torch.bmm(cut, analysis, out=spectrum)
            magnitude = torch.linalg.vector_norm(planes, dim=2)
            present = torch.bmm(magnitude, filters).logit_(bands.clamp * self.scale)
            gain = torch.baddbmm(wanted, present, weights, alpha=-1).expm1_()
            torch.mul(planes[:, :, :2], gain[:, :, None], out=inner)
            before, audio = audio, extrapolated.unflatten(1, (hops, -1)).baddbmm(over, synthesis)
            audio = audio.flatten(1)
            ends = self._outermost(audio)
            torch.baddbmm(self._outermost(extrapolated), outermost, self.ends, out=ends)
            if not self.frames.mirrors:  # else ``hold`` is 0
                ends.lerp_(self._outermost(first), self.hold)
        return audio[:, self.frames.side : self.frames.side + steps * self.frames.hop]

    def _continued(self, frames: Frames, audio: Tensor) -> Tensor:
        """Audio with the samples beyond its ends that frames see, (batch, hops * hop)."""
        continued = frames.continued(audio)
        more = audio.shape[1] + self.beyond * frames.hop - continued.shape[1]
        return functional.pad(continued, (0, more)) if more else continued.contiguous()

    def _outermost(self, continued: Tensor) -> Tensor:
        """The outermost samples of continued audio, a view, (2, batch, width)."""
        batch, length = continued.shape
        return continued.as_strided(
            (2, batch, self.width), (length - self.width, length, 1), continued.storage_offset()
        )

    def _end(self, frames: Frames, back: Tensor, last: bool) -> Tensor:
        """The changes of an end by its outermost frames, (outer * 2 * bins, width)."""
        steps, rows = self.shortest, []
        time = steps * frames.hop
        length = time + 2 * frames.side + frames.parts * frames.hop
        for step in range(self.outer):
            start = (steps - self.outer + step if last else step) * frames.hop
            total = functional.pad(back, (start, length - start - frames.size))
            change = frames.folded(total, time) / frames.energy(steps)
            rows.append(self._outermost(self._continued(frames, change))[int(last)])
        return torch.cat(rows)


def _transform(window: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """The Fourier transform of windowed frames, real and imaginary parts apart, (size, 2 * bins);
    and its inverse, windowed again, (2 * bins, size).
    """
    size = len(window)
    sample = torch.arange(size, device=window.device)
    angle = 2 * math.pi / size * (sample[:, None] * sample[:bins] % size).to(window.dtype)
    both = torch.cat([angle.cos(), -angle.sin()], dim=1) * window[:, None]
    twice = 2 - (2 * sample[:bins] % size == 0).to(window.dtype)  # a bin and its mirror image
    return both, (both * twice.repeat(2) / size).mT


def _each(matrix: Tensor, batch: int) -> Tensor:
    return matrix.expand(batch, -1, -1)

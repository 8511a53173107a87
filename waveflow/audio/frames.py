"""Frames of audio, and audio of frames."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.precision import Durable

LEAST_ENERGY = 0.1
"""Energy that the windows over a sample are taken to have at least: where they hardly look, as at
the end of centred frames with long hops, least squares would change it without measure."""

HOLD = 0.003
"""How far an iteration moves back to the audio at first where no frame looks, and in part where
some are missing: at the ends of a clip between silences. Not all that is asked of frames there can
be had, and what is left over pushes the same way in every iteration, at frequencies that no band
sees; without a hold the ends grow without bounds."""


class Frames(Durable):
    r"""How audio is cut into overlapping frames, and which audio is nearest to frames.

    Frame t covers ``size`` samples from ``t * hop - side`` on. Beyond its ends audio is silent or
    mirrored; audio too short to be mirrored is silent there, too.

    The audio nearest to frames :math:`y_t` in least squares (Griffin & Lim, *Signal estimation from
    modified short-time Fourier transform*, 1984), with the window :math:`w` and all samples
    :math:`x_n` counted wherever they stand in a frame, mirrored ones included, is

    .. math:: x_n = \sum_{t, i \to n} w_i\, y_{t, i} \Big/ \sum_{t, i \to n} w_i^2 .

    A mirrored sample is the sample that it mirrors. So what frames ask of it is laid down on that
    one. Without this, what they ask at the ends of a clip is heard in part only, and iterations
    may grow there without bounds.

    Args:
        window: (size,).
        hop: samples from one frame to the next.
        side: samples of the first frame that stand before the audio.
        mirrors: whether audio is mirrored beyond its ends; it is silent there otherwise.
        doubles: whether the mirror stands behind the last sample, which then comes twice; it
            stands on the last sample otherwise.

    >>> import torch
    >>> frames = Frames(torch.hann_window(64), hop=16, side=24)
    >>> audio = torch.randn(1, 160)
    >>> cut = frames.cut(audio)[:, :10] * frames.window
    >>> torch.allclose(frames.lay_down(cut) / frames.energy(10), audio, atol=1e-5)
    True
    """

    window: Tensor

    def __init__(
        self, window: Tensor, *, hop: int, side: int, mirrors: bool = True, doubles: bool = False
    ) -> None:
        super().__init__()
        self.size, self.hop, self.side = len(window), hop, side
        self.mirrors, self.skipped = mirrors, 0 if doubles else 1
        self.register_buffer("window", window, persistent=False)

    @property
    def parts(self) -> int:
        """Hops that a frame reaches into."""
        return -(-self.size // self.hop)

    def mirrored(self, time: int) -> bool:
        """Whether audio of that many samples is mirrored at its ends."""
        return self.mirrors and time >= self.side + self.skipped

    def continued(self, audio: Tensor) -> Tensor:
        """Audio as the first and last frames see it, (batch, time) -> (batch, time + 2 side)."""
        time = audio.shape[-1]
        if not self.mirrored(time):
            return functional.pad(audio, (self.side, self.side))
        near, far = self.skipped, self.skipped + self.side
        start, end = audio[:, near:far].flip(1), audio[:, time - far : time - near].flip(1)
        return torch.cat([start, audio, end], dim=1)

    def cut(self, audio: Tensor) -> Tensor:
        """Frames without their window, (batch, time) -> (batch, frames, size)."""
        return self.continued(audio).unfold(1, self.size, self.hop)

    def lay_down(self, frames: Tensor) -> Tensor:
        """The windowed sum of frames, (batch, steps, size) -> (batch, steps * hop)."""
        batch, steps, size = frames.shape
        pieces = frames * self.window
        if size < self.parts * self.hop:
            pieces = functional.pad(pieces, (0, self.parts * self.hop - size))
        pieces = pieces.view(batch, steps, self.parts, self.hop).transpose(1, 2)
        # rows that are one hop longer than the sum, read as rows of its length, move on by one each
        hops = steps + self.parts
        rows = functional.pad(pieces, (0, 0, 0, self.parts + 1)).reshape(batch, -1)
        moved = rows[:, : self.parts * hops * self.hop].view(batch, self.parts, hops, self.hop)
        return self.folded(moved.sum(1).view(batch, -1), steps * self.hop)

    def energy(self, steps: int) -> Tensor:
        """By what the sum of that many frames is divided, (1, steps * hop)."""
        return self.lay_down(self.window.expand(1, steps, -1)).clamp_min(LEAST_ENERGY)

    def hold(self, steps: int) -> Tensor:
        """How far an iteration of that many frames holds audio, (1, steps * hop): ``HOLD`` times
        the share of energy that is missing beside endless audio, so nothing but at the ends; and
        nothing there if audio is mirrored.
        """
        if self.mirrored(steps * self.hop):
            return self.window.new_zeros(1, steps * self.hop)
        energy = self.lay_down(self.window.expand(1, steps, -1)).view(steps, self.hop)
        return missing_share(energy, self.full_energy.roll(-self.side)).mul(HOLD).view(1, -1)

    @property
    def full_energy(self) -> Tensor:
        """Energy of the windows over a sample of endless audio, (hop,), from a frame's start on."""
        energy = functional.pad(self.window.square(), (0, self.parts * self.hop - self.size))
        return energy.view(self.parts, self.hop).sum(0)

    def folded(self, total: Tensor, time: int) -> Tensor:
        """A sum from ``side`` samples before the audio on, what is mirrored added to what it
        mirrors, (batch, any) -> (batch, time).
        """
        stop = self.side + time
        audio = total[:, self.side : stop]
        if not self.side or not self.mirrored(time):
            return audio
        start, end = total[:, : self.side].flip(1), total[:, stop : stop + self.side].flip(1)
        near, far = self.skipped, self.skipped + self.side
        audio[:, near:far].add_(start)
        audio[:, time - far : time - near].add_(end)
        return audio


def missing_share(energy: Tensor, full: Tensor) -> Tensor:
    """How much is missing of the energy that there would be in endless audio, 0 to 1.

    Args:
        energy: (hops, hop).
        full: in endless audio, (hop,).

    Returns:
        (hops, hop).
    """
    return ((full - energy) / full.clamp_min(LEAST_ENERGY)).clamp_min(0)

"""Cut audio into frames, and add frames up to audio."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.precision import Durable

LEAST_ENERGY = 0.1
"""Lower bound on the energy of the windows over a sample. Where the windows are near 0, as at the
end of centred frames with long hops, least squares would change the sample without bounds."""

HOLD = 0.003
"""Share by which an iteration moves audio back to the initial audio where no frame covers it. Where
only some frames are missing, the share is smaller. This happens at the ends of a clip between
silences. The frames there cannot reach their target, and the remaining difference pushes in the
same direction in every iteration, at frequencies that no band sees. Without the hold the ends grow
without bounds."""


class Frames(Durable):
    r"""Cut audio into overlapping frames, and find the audio nearest to given frames.

    Frame t covers ``size`` samples from ``t * hop - side`` on. Beyond its ends audio is continued
    by zeros or mirrored; audio too short to be mirrored is continued by zeros.

    The audio nearest to frames :math:`y_t` in least squares (Griffin & Lim, *Signal estimation from
    modified short-time Fourier transform*, 1984), with the window :math:`w` and all samples
    :math:`x_n` counted in every frame that has them, mirrored ones included, is

    .. math:: x_n = \sum_{t, i \to n} w_i\, y_{t, i} \Big/ \sum_{t, i \to n} w_i^2 .

    A mirrored sample equals the sample that it mirrors, so its values in frames are added to that
    sample. Without this, the frames at the ends of a clip count only in part, and iterations may
    grow there without bounds.

    Args:
        window: window of a frame, (size,).
        hop: samples from one frame to the next.
        side: samples of the first frame before the start of the audio.
        mirrors: whether audio is mirrored beyond its ends; otherwise it is continued by zeros.
        doubles: whether the mirrored part starts with the last sample, which then occurs twice;
            otherwise it starts with the sample before the last.

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
        """Number of hops that a frame covers."""
        return -(-self.size // self.hop)

    def mirrored(self, time: int) -> bool:
        """Whether audio of ``time`` samples is mirrored at its ends."""
        return self.mirrors and time >= self.side + self.skipped

    def continuation(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """What continues audio before its start and after its end, (..., time) -> (..., side)."""
        time = audio.shape[-1]
        if not self.mirrored(time):
            zeros = audio.new_zeros(*audio.shape[:-1], self.side)
            return zeros, zeros
        near, far = self.skipped, self.skipped + self.side
        return audio[..., near:far].flip(-1), audio[..., time - far : time - near].flip(-1)

    def continued(self, audio: Tensor) -> Tensor:
        """Audio with its continuation at both ends, (batch, time) -> (batch, time + 2 side)."""
        start, end = self.continuation(audio)
        return torch.cat([start, audio, end], dim=1)

    def cut(self, audio: Tensor) -> Tensor:
        """Frames without the window applied, (batch, time) -> (batch, frames, size)."""
        return self.continued(audio).unfold(1, self.size, self.hop)

    def lay_down(self, frames: Tensor) -> Tensor:
        """The windowed sum of frames, (batch, steps, size) -> (batch, steps * hop)."""
        batch, steps, size = frames.shape
        pieces = frames * self.window
        if size < self.parts * self.hop:
            pieces = functional.pad(pieces, (0, self.parts * self.hop - size))
        pieces = pieces.view(batch, steps, self.parts, self.hop).transpose(1, 2)
        # padding each row by one hop more than the sum shifts row k by k hops after the reshape
        hops = steps + self.parts
        rows = functional.pad(pieces, (0, 0, 0, self.parts + 1)).reshape(batch, -1)
        moved = rows[:, : self.parts * hops * self.hop].view(batch, self.parts, hops, self.hop)
        return self.folded(moved.sum(1).view(batch, -1), steps * self.hop)

    def energy(self, steps: int) -> Tensor:
        """The divisor of the sum of ``steps`` frames, (1, steps * hop)."""
        return self.lay_down(self.window.expand(1, steps, -1)).clamp_min(LEAST_ENERGY)

    def hold(self, steps: int) -> Tensor:
        """The share by which an iteration of ``steps`` frames holds audio, (1, steps * hop).

        It is ``HOLD`` times the share of energy that is missing compared with endless audio: 0
        except at the ends, and 0 everywhere if audio is mirrored.
        """
        if self.mirrored(steps * self.hop):
            return self.window.new_zeros(1, steps * self.hop)
        energy = self.lay_down(self.window.expand(1, steps, -1)).view(steps, self.hop)
        return missing_share(energy, self.full_energy.roll(-self.side)).mul(HOLD).view(1, -1)

    @property
    def full_energy(self) -> Tensor:
        """Energy of the windows over each sample of a hop in endless audio, (hop,)."""
        energy = functional.pad(self.window.square(), (0, self.parts * self.hop - self.size))
        return energy.view(self.parts, self.hop).sum(0)

    def folded(self, total: Tensor, time: int) -> Tensor:
        """Add the mirrored parts of a sum to the samples that they mirror.

        Args:
            total: sum that starts ``side`` samples before the audio, (batch, any).
            time: samples of the audio.

        Returns:
            (batch, time).
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
    """The share, 0 to 1, of energy that is missing compared with endless audio.

    Args:
        energy: energy of the windows over each sample, (hops, hop).
        full: energy in endless audio, (hop,).

    Returns:
        (hops, hop).
    """
    return ((full - energy) / full.clamp_min(LEAST_ENERGY)).clamp_min(0)

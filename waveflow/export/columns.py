"""Frames as columns, and their overlap-add, traceable for any length."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from waveflow.audio.frames import HOLD, LEAST_ENERGY, Frames, missing_share

Ends = tuple[Tensor, Tensor, Tensor]
"""The numbers of the samples that are mirrored before and after audio, and a factor: 0 if the audio
is too short for mirrors, else 1."""


class Columns(nn.Module):
    """A :class:`waveflow.audio.frames.Frames` without branches that depend on the length.

    Args:
        frames: The frames, and the extension of audio beyond its ends.
    """

    window: Tensor
    full_energy: Tensor

    def __init__(self, frames: Frames) -> None:
        super().__init__()
        self.size, self.hop, self.side = frames.size, frames.hop, frames.side
        self.parts, self.mirrors, self.skipped = frames.parts, frames.mirrors, frames.skipped
        self.register_buffer("window", frames.window[:, None].clone(), persistent=False)
        full_energy = frames.full_energy.roll(-frames.side)
        self.register_buffer("full_energy", full_energy, persistent=False)

    def ends(self, audio: Tensor) -> Ends:
        """What both ends of audio, (batch, time), have in common for any content."""
        time = torch.full((self.side,), audio.shape[1], dtype=torch.int64, device=audio.device)
        enough = (time[:1] >= self.side + self.skipped).to(audio.dtype)
        distance = torch.arange(self.skipped, self.skipped + self.side, device=audio.device)
        left, right = torch.minimum(distance, time - 1).flip(0), (time - 1 - distance).clamp_min(0)
        return left, right, enough

    def cut(self, audio: Tensor, frames: int, ends: Ends) -> Tensor:
        """(batch, time) -> (batch, size, frames), without the window."""
        padded = self._continued(audio, *ends)
        steps = frames + self.parts - 1
        short = (self.parts - 1) * self.hop - 2 * self.side
        padded = functional.pad(padded, (0, short))  # cuts where it is negative
        hops = padded.reshape(padded.shape[0], steps, self.hop).mT
        pieces = [hops[:, :, part : part + frames] for part in range(self.parts)]
        return torch.cat(pieces, dim=1)[:, : self.size]

    def lay_down(self, columns: Tensor, ends: Ends) -> Tensor:
        """The windowed sum of frames, (batch, size, frames) -> (batch, frames * hop)."""
        batch, size, frames = columns.shape
        columns = self.window * columns
        if size < self.parts * self.hop:
            columns = functional.pad(columns, (0, 0, 0, self.parts * self.hop - size))
        pieces = [
            functional.pad(piece, (part, self.parts - part))
            for part, piece in enumerate(columns.split(self.hop, dim=1))
        ]
        total = sum(pieces[1:], start=pieces[0]).mT.reshape(batch, -1)
        time = frames * self.hop
        stop = self.side + time
        audio = total[:, self.side : stop]
        if not (self.mirrors and self.side):
            return audio
        enough, far = ends[2], self.skipped + self.side
        start = total[:, : self.side].flip(1) * enough
        end = total[:, stop:][:, : self.side].flip(1) * enough
        # longer than the audio by ``far``, so that no padding of short audio is negative
        start = functional.pad(start, (self.skipped, time))[:, :time]
        return audio + start + functional.pad(end, (time, self.skipped))[:, far:]

    def share_and_hold(self, mel: Tensor, ends: Ends) -> tuple[Tensor, Tensor]:
        """The weight of the change of every sample, and ``Frames.hold`` of every sample, (1, time)
        each, for a mel (.., .., frames).
        """
        energy = self.lay_down(self.window * torch.ones_like(mel[:1, :1]), ends)
        missing = missing_share(energy.reshape(-1, self.hop), self.full_energy)
        hold = HOLD * missing.reshape(1, -1)
        if self.mirrors and self.side:
            hold = hold * (1 - ends[2])
        return 1 / energy.clamp_min(LEAST_ENERGY), hold

    def _continued(self, audio: Tensor, left: Tensor, right: Tensor, enough: Tensor) -> Tensor:
        """Audio extended by its mirror image at both ends, or by zeros if the convention says so or
        the audio is too short.
        """
        if not self.mirrors:
            return functional.pad(audio, (self.side, self.side))
        start, end = (audio.index_select(1, numbers) * enough for numbers in (left, right))
        return torch.cat([start, audio, end], dim=1)

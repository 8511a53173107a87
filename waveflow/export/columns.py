"""Frames as columns, and their overlap-add, traceable for any length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from waveflow.audio.frames import HOLD, LEAST_ENERGY, Frames, missing_share


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

    def cut(self, audio: Tensor, frames: int) -> Tensor:
        """(batch, time) -> (batch, size, frames), without the window."""
        padded = self._continued(audio)
        steps = frames + self.parts - 1
        short = (self.parts - 1) * self.hop - 2 * self.side
        padded = nn.functional.pad(padded, (0, short))  # cuts where it is negative
        hops = padded.reshape(padded.shape[0], steps, self.hop).mT
        pieces = [hops[:, :, part : part + frames] for part in range(self.parts)]
        return torch.cat(pieces, dim=1)[:, : self.size]

    def lay_down(self, columns: Tensor) -> Tensor:
        """The windowed sum of frames, (batch, size, frames) -> (batch, frames * hop)."""
        batch, size, frames = columns.shape
        columns = self.window * columns
        columns = nn.functional.pad(columns, (0, 0, 0, self.parts * self.hop - size))
        pieces = [
            nn.functional.pad(piece, (part, self.parts - part))
            for part, piece in enumerate(columns.split(self.hop, dim=1))
        ]
        total = torch.stack(pieces).sum(0).mT.reshape(batch, -1)
        stop = self.side + frames * self.hop
        audio = total[:, self.side : stop]
        if not (self.mirrors and self.side):
            return audio
        left, right, enough = self._mirrored(audio)
        audio = audio.index_add(1, left, total[:, : self.side] * enough)
        return audio.index_add(1, right, total[:, stop : stop + self.side] * enough)

    def share_and_hold(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """The weight of the change of every sample, and ``Frames.hold`` of every sample, (1, time)
        each, for a mel (.., .., frames).
        """
        energy = self.lay_down(self.window * torch.ones_like(mel[:1, :1]))
        missing = missing_share(energy.reshape(-1, self.hop), self.full_energy)
        hold = HOLD * missing.reshape(1, -1)
        if self.mirrors and self.side:
            hold = hold * (1 - self._mirrored(energy)[2][:1])
        return 1 / energy.clamp_min(LEAST_ENERGY), hold

    def _continued(self, audio: Tensor) -> Tensor:
        """Audio extended by its mirror image at both ends, or by zeros if the convention says so or
        the audio is too short.
        """
        if not self.mirrors:
            return nn.functional.pad(audio, (self.side, self.side))
        left, right, enough = self._mirrored(audio)
        return torch.cat([audio[:, left] * enough, audio, audio[:, right] * enough], dim=1)

    def _mirrored(self, audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The numbers of the samples mirrored before and after the audio, and a factor: 0 if the
        audio is too short for mirrors, else 1.
        """
        time = audio.shape[1]
        distance = torch.arange(self.skipped, self.skipped + self.side, device=audio.device)
        last = torch.full_like(distance, time) - 1
        enough = (last >= self.side + self.skipped - 1).to(audio.dtype)
        left = torch.minimum(distance, last).flip(0)
        return left, (last - distance).clamp_min(0), enough

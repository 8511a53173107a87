"""Frames of audio that comes in pieces, and audio of frames that do."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.consistency import LEAST_ENERGY
from waveflow.audio.mel import LogMel
from waveflow.inference.rows import Push, joined


class Framing:
    """The frames of a mel front end, ``time / hop_length`` of them, and their overlapped sum.

    Frame t covers ``n_fft`` samples from ``t * hop_length - padding`` on. Beyond its ends audio is
    as the front end continues it: reflected, or silent, as it is if too short to be reflected.

    Args:
        log_mel: the front end.
    """

    def __init__(self, log_mel: LogMel):
        config = log_mel.config
        self._window = log_mel.window
        self._size, self._hop, self._side = config.n_fft, config.hop_length, log_mel.padding
        self._reflects = log_mel.reflects
        self._parts = -(-self._size // self._hop)  # hops that a frame reaches into
        rest = self._parts * self._hop - self._size
        energy = functional.pad(self._window.double().square(), (0, rest))
        self._energy = energy.view(self._parts, self._hop)
        self._seen: tuple[tuple[int, int, int], Tensor] | None = None

    def begin_cutting(self) -> Push:
        """Audio (samples,) -> windowed frames (frames, n_fft)."""
        held = self._window[:0]
        next_frame = 0  # where it starts in what is held
        come = done = 0

        def push(audio: Tensor, last: bool) -> Tensor:
            nonlocal held, next_frame, come, done
            held = joined(held, audio)
            begins = come <= self._side and (last or come + len(audio) > self._side)
            come += len(audio)
            end = self._beyond(held.flip(0)) if last else audio[:0]
            start = self._beyond(held).flip(0) if begins else audio[:0]
            held = torch.cat([start, held, end])
            frames = 0
            if last or come > self._side:
                frames = max((len(held) - next_frame - self._size) // self._hop + 1, 0)
                frames = min(frames, come // self._hop - done)
            stop = next_frame + frames * self._hop
            reach = held[next_frame : stop + self._size - self._hop] if frames else held[:0]
            kept = max(min(stop, len(held) - self._side - 1), 0)
            held, next_frame, done = held[kept:], stop - kept, done + frames
            if not frames:
                return audio.new_empty(0, self._size)
            return reach.unfold(0, self._size, self._hop) * self._window

        return push

    def begin_overlap(self) -> Push:
        """Frames (frames, n_fft) -> audio (samples,): their windowed sum over the windows' energy,
        as far as it is done.
        """
        carried = self._window.new_zeros(self._parts - 1, self._hop)
        come = 0

        def push(frames: Tensor, last: bool) -> Tensor:
            nonlocal carried, come
            count = len(frames)
            total = torch.cat([carried, carried.new_zeros(count, self._hop)])
            for part in reversed(range(self._parts)):  # earlier frames first, as they come
                piece = frames[:, part * self._hop : (part + 1) * self._hop]
                window = self._window[part * self._hop : (part + 1) * self._hop]
                total[part : part + count, : len(window)].addcmul_(piece, window)
            hops = len(total) if last else count
            first, come = come, come + count
            carried = total[hops:].clone()
            done = total[:hops].div_(self._energy_of(first, hops, come))
            # hop h of the sum starts at sample h * hop - side of the audio
            start = max(self._side - first * self._hop, 0)
            stop = come * self._hop + self._side - first * self._hop if last else None
            return done.view(-1)[start:stop]

        return push

    def frames_ready(self, samples: int) -> int:
        """How many frames have been cut when ``samples`` have come, and more will follow."""
        there = samples + self._side if samples > self._side else 0
        return max((there - self._size) // self._hop + 1, 0)

    def samples_ready(self, frames: int) -> int:
        """How many samples are done when ``frames`` have come, and more will follow."""
        return max(frames * self._hop - self._side, 0)

    def needs(self, sample: int) -> int:
        """The first sample in the frames that a sample is summed of."""
        first_frame = -((self._size - 1 - self._side - sample) // self._hop)
        return first_frame * self._hop - self._side

    def _beyond(self, inward: Tensor) -> Tensor:
        """What stands beyond an end of audio, outwards, given the audio inwards from there."""
        if len(inward) <= self._side or not self._reflects:
            return inward.new_zeros(self._side)
        return inward[1 : self._side + 1]

    def _energy_of(self, first: int, hops: int, frames: int) -> Tensor:
        """The windows' energy (hops, hop_length) in hops of the sum from ``first`` on, of
        ``frames`` frames; the same for all iterations that are as far.
        """
        key = first, hops, frames
        seen = self._seen
        if seen is None or seen[0] != key:
            device = self._energy.device
            frame = torch.arange(first, first + hops, device=device)[:, None]
            frame = frame - torch.arange(self._parts, device=device)
            there = ((frame >= 0) & (frame < frames)).to(self._energy)
            energy = (there @ self._energy).clamp_min_(LEAST_ENERGY).to(self._window)
            self._seen = seen = (
                key,
                energy,
            )  # replaced as a whole: streams may be in several threads
        return seen[1]

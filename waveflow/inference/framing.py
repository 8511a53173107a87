"""Frames of audio that comes in pieces, and audio of frames that do."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.frames import HOLD, LEAST_ENERGY, Frames, missing_share
from waveflow.streaming.rows import PushFunction, joined

_KEPT = 8  # energies that are kept for further iterations


class Framing:
    """The frames of audio, ``time / hop`` of them, and their overlapped sum.

    What :class:`waveflow.audio.frames.Frames` does with whole audio, of audio that comes in pieces.

    Args:
        frames: how audio is cut, and continued beyond its ends.
        folds: whether what frames make of mirrored samples is summed where the samples are that
            they mirror; it is left out otherwise.
    """

    def __init__(self, frames: Frames, *, folds: bool = True):
        self._frames = frames
        self._window = frames.window
        self._size, self._hop, self._side = frames.size, frames.hop, frames.side
        # of the sum, enough to reach the end of the audio where frames do not
        self._parts = max(frames.parts, 1 - (-self._side // self._hop))
        self._needed = self._side + frames.skipped  # samples that a mirrored end is made of
        # hops held back, where frames lie apart, so that the end's mirror can still be added
        self._late = max(-(-(self._hop + self._needed - self._size) // self._hop), 0)
        self._folds = folds and frames.mirrors and self._side > 0
        if not self._folds:
            self._late = 0
        rest = self._parts * self._hop - self._size
        energy = functional.pad(self._window.double().square(), (0, rest))
        self._energy = energy.view(self._parts, self._hop)
        self._seen: dict[tuple[int, bool, int], tuple[Tensor, Tensor]] = {}

    def begin_cutting(self) -> PushFunction:
        """Audio (samples,) -> frames (frames, size) without their window, which share memory."""
        held = self._window[:0]
        next_frame = 0  # where it starts in what is held
        come = done = 0

        def push(audio: Tensor, last: bool) -> Tensor:
            nonlocal held, next_frame, come, done
            held = joined(held, audio)
            begins = come < self._needed and (last or come + len(audio) >= self._needed)
            come += len(audio)
            if begins or last:
                start, end = self._beyond(held)
                held = torch.cat([*([start] * begins), held, *([end] * last)])
            frames = 0
            if last or come >= self._needed:
                frames = max((len(held) - next_frame - self._size) // self._hop + 1, 0)
                frames = min(frames, come // self._hop - done)
            stop = next_frame + frames * self._hop
            reach = held[next_frame : stop + self._size - self._hop] if frames else held[:0]
            kept = max(min(stop, len(held) - self._needed), 0)
            held, next_frame, done = held[kept:], stop - kept, done + frames
            if not frames:
                return audio.new_empty(0, self._size)
            return reach.unfold(0, self._size, self._hop)

        return push

    def begin_overlap(self) -> Callable[[Tensor, bool], tuple[Tensor, Tensor | None]]:
        """Frames (frames, size) -> audio (samples,): their windowed sum over the windows' energy,
        as far as it is done; and how far an iteration holds it, None if not at all.
        """
        carried = self._window.new_zeros(self._parts - 1, self._hop)
        head = carried[:0].view(-1)  # of the sum: what stands before the audio
        first = come = 0

        def push(frames: Tensor, last: bool) -> tuple[Tensor, Tensor | None]:
            nonlocal carried, head, first, come
            count, offset = len(frames), come - first
            total = torch.cat([carried, carried.new_zeros(count, self._hop)])
            for part in reversed(range(self._parts)):  # earlier frames first, as they come
                piece = frames[:, part * self._hop : (part + 1) * self._hop]
                window = self._window[part * self._hop : (part + 1) * self._hop]
                start = offset + part
                total[start : start + count, : len(window)].addcmul_(piece, window)
            come += count
            hops = len(total) if last else max(come - self._late - first, 0)
            carried, done = total[hops:].clone(), total[:hops].view(-1)
            head = torch.cat([head, done[: self._side - len(head)]])
            self._fold(done, first, head, come if last else None)
            energy, hold = self._energy_of(first, hops, come, last)
            done.div_(energy)
            begin = first * self._hop - self._side
            first += hops
            inside = slice(max(-begin, 0), come * self._hop - begin if last else None)
            return done[inside], None if hold is None else hold[inside]

        return push

    def _fold(self, done: Tensor, first: int, head: Tensor, frames: int | None) -> None:
        """Add what is mirrored to what it mirrors, in place.

        Args:
            done: of the sum, from the first sample of hop ``first`` on.
            first: that hop; the audio begins ``side`` samples behind the first sample of hop 0.
            head: of the sum, what stands before the audio, as far as it is done.
            frames: how many there are in all, once it is known.
        """
        near, far = self._frames.skipped, self._needed
        time = None if frames is None else frames * self._hop
        if not self._folds or (time is not None and not self._frames.mirrored(time)):
            return
        begin = first * self._hop - self._side
        start, stop = max(near, begin), min(far, begin + len(done))
        if start < stop:
            done[start - begin : stop - begin].add_(head.flip(0)[start - near : stop - near])
        if time is not None:
            behind = done[time - begin :][: self._side].flip(0)
            stop = time - near - begin
            done[stop - len(behind) : stop].add_(behind)

    def frames_after(self, samples: int) -> int:
        """How many frames have been cut when ``samples`` have come, and more will follow."""
        there = samples + self._side if samples >= self._needed else 0
        return max((there - self._size) // self._hop + 1, 0)

    def samples_after(self, frames: int) -> int:
        """How many samples are done when ``frames`` have come, and more will follow."""
        return max((frames - self._late) * self._hop - self._side, 0)

    def first_input_of(self, sample: int) -> int:
        """The first sample in the frames that a sample is summed of."""
        first_frame = -((self._size - 1 - self._side - sample) // self._hop)
        return self.frame_start(first_frame)

    def frame_start(self, frame: int) -> int:
        """The first sample of a frame."""
        return frame * self._hop - self._side

    def _beyond(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """What stands before audio, and what behind it."""
        near, far, time = self._frames.skipped, self._needed, len(audio)
        if not self._frames.mirrored(time):
            return (audio.new_zeros(self._side),) * 2
        return audio[near:far].flip(0), audio[time - far : time - near].flip(0)

    def _energy_of(
        self, first: int, hops: int, frames: int, last: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The windows' energy (hops * hop,) in hops of the sum from ``first`` on, of ``frames``
        frames so far, and ``Frames.hold``; the same for all iterations that are as far.
        """
        inner = first > 2 * self._parts  # no mirror of the start reaches there
        key = -1 if inner else first, last, frames if last and not inner else -1
        seen, size = self._seen.get(key), hops * self._hop
        if seen is None or len(seen[0]) < size:
            energy = self._energy_sum(first, hops, frames)
            head = self._energy_sum(0, -(-self._side // self._hop), frames)[: self._side]
            self._fold(energy, first, head, frames if last else None)
            full = self._energy.sum(0)
            hold = HOLD * missing_share(energy.view(-1, self._hop), full).view(-1)
            energy = energy.clamp_min_(LEAST_ENERGY)
            seen = energy.to(self._window), hold.to(self._window)
            # replaced as a whole: streams may be in several threads
            kept = self._seen if len(self._seen) < _KEPT else {}
            self._seen = {**kept, key: seen}
        part = slice(len(seen[0]) - size, None) if last else slice(size)
        energy, hold = (table[part] for table in seen)
        # more than a mirror needs has come where hops are done before the last
        mirrored = self._frames.mirrored(frames * self._hop) if last else self._frames.mirrors
        return energy, None if mirrored or (inner and not last) else hold

    def _energy_sum(self, first: int, hops: int, frames: int) -> Tensor:
        """The windows' energy in hops of the sum, without mirrors, in double precision."""
        frame = torch.arange(first, first + hops, device=self._energy.device)[:, None]
        energy = self._energy.new_zeros(hops, self._hop)
        for part in range(self._parts):  # in the same order however many hops there are
            there = (frame >= part) & (frame < frames + part)
            energy += there * self._energy[part]
        return energy.view(-1)

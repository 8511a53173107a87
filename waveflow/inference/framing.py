"""Frames of streamed audio, and their overlap-add."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from waveflow.audio.frames import HOLD, LEAST_ENERGY, Frames, missing_share
from waveflow.streaming.rows import PushFunction, joined

_CACHED = 8  # energies that are cached for later iterations


class Framing:
    """The ``time / hop`` frames of audio, and their overlap-add: the streamed form of
    :class:`waveflow.audio.frames.Frames`.

    Args:
        frames: The frames, and the extension of audio beyond its ends.
        folds: Whether the parts of frames beyond the ends are added to the samples that are
            mirrored there; otherwise they are dropped.
    """

    def __init__(self, frames: Frames, *, folds: bool = True):
        self._frames = frames
        self._window = frames.window
        self._size, self._hop, self._side = frames.size, frames.hop, frames.side
        # hops of the sum that a frame touches; enough to reach the end of the audio
        self._parts = max(frames.parts, 1 - (-self._side // self._hop))
        self._needed = self._side + frames.skipped  # samples at an end that its mirror needs
        self._folds = folds and frames.mirrors and self._side > 0
        # hops held back, if frames do not overlap, so that the end's mirror can still be added
        late = max(-(-(self._hop + self._needed - self._size) // self._hop), 0)
        self._late = late if self._folds else 0
        rest = self._parts * self._hop - self._size
        energy = functional.pad(self._window.double().square(), (0, rest))
        self._energy = energy.view(self._parts, self._hop)
        self._cached: dict[tuple[int, bool, int], tuple[Tensor, Tensor]] = {}

    def begin_cutting(self) -> PushFunction:
        """A function audio (samples,) -> frames (frames, size) without window, which share
        memory.
        """
        held = self._window[:0]
        next_frame = 0  # start of the next frame in ``held``
        received = emitted = 0

        def push(audio: Tensor, last: bool) -> Tensor:
            nonlocal held, next_frame, received, emitted
            held = joined(held, audio)
            begins = received < self._needed and (last or received + len(audio) >= self._needed)
            received += len(audio)
            if begins or last:
                start, end = self._frames.continuation(held)
                held = torch.cat([*([start] * begins), held, *([end] * last)])
            frames = 0
            if last or received >= self._needed:
                frames = max((len(held) - next_frame - self._size) // self._hop + 1, 0)
                frames = min(frames, received // self._hop - emitted)
            stop = next_frame + frames * self._hop
            reach = held[next_frame : stop + self._size - self._hop] if frames else held[:0]
            dropped = max(min(stop, len(held) - self._needed), 0)
            held, next_frame, emitted = held[dropped:], stop - dropped, emitted + frames
            if not frames:
                return audio.new_empty(0, self._size)
            return reach.unfold(0, self._size, self._hop)

        return push

    def begin_overlap(self) -> Callable[[Tensor, bool], tuple[Tensor, Tensor | None]]:
        """A function from frames (frames, size) to their windowed overlap-add, divided by the
        energy of the windows, (samples,), as far as it is determined; and ``Frames.hold`` of these
        samples, None if it is 0.
        """
        carried = self._window.new_zeros(self._parts - 1, self._hop)
        head = carried[:0].view(-1)  # of the sum: the part before the audio
        first = received = 0

        def push(frames: Tensor, last: bool) -> tuple[Tensor, Tensor | None]:
            nonlocal carried, head, first, received
            count, offset = len(frames), received - first
            total = torch.cat([carried, carried.new_zeros(count, self._hop)])
            for part in reversed(range(self._parts)):  # earlier frames first, in stream order
                piece = frames[:, part * self._hop : (part + 1) * self._hop]
                window = self._window[part * self._hop : (part + 1) * self._hop]
                start = offset + part
                total[start : start + count, : len(window)].addcmul_(piece, window)
            received += count
            hops = len(total) if last else max(received - self._late - first, 0)
            carried, done = total[hops:].clone(), total[:hops].view(-1)
            head = torch.cat([head, done[: self._side - len(head)]])
            self._fold(done, first, head, received if last else None)
            energy, hold = self._energy_of(first, hops, received, last)
            done.div_(energy)
            begin = first * self._hop - self._side
            first += hops
            inside = slice(max(-begin, 0), received * self._hop - begin if last else None)
            return done[inside], None if hold is None else hold[inside]

        return push

    def _fold(self, done: Tensor, first: int, head: Tensor, frames: int | None) -> None:
        """Add the sum beyond the ends to the samples that are mirrored there, in place.

        Args:
            done: The sum from the first sample of hop ``first`` on.
            first: The number of that hop; the audio begins ``side`` samples after the start of
                hop 0.
            head: The sum before the audio, as far as it is determined.
            frames: The total number of frames; None if more will follow.
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
            tail = done[time - begin :][: self._side].flip(0)
            stop = time - near - begin
            done[stop - len(tail) : stop].add_(tail)

    def frames_after(self, samples: int) -> int:
        """Number of frames after ``samples`` of audio, if more will follow."""
        extended = samples + self._side if samples >= self._needed else 0
        return max((extended - self._size) // self._hop + 1, 0)

    def outputs_after(self, samples: int) -> int:
        """Number of samples of the overlap-add after ``samples`` of audio, if more will follow."""
        frames = self.frames_after(samples) - self._late
        return max(frames * self._hop - self._side, 0)

    def first_input_of(self, sample: int) -> int:
        """The first sample in the frames whose overlap-add contains a sample."""
        first_frame = -((self._size - 1 - self._side - sample) // self._hop)
        return self.frame_start(first_frame)

    def frame_start(self, frame: int) -> int:
        """The first sample of a frame."""
        return frame * self._hop - self._side

    def _energy_of(
        self, first: int, hops: int, frames: int, last: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The energy of the windows and ``Frames.hold``, (hops * hop,) each, in hops of the sum
        from ``first`` on, after ``frames`` frames. Cached, because all iterations need them.
        """
        inner = first > 2 * self._parts  # beyond the reach of the start's mirror
        key = -1 if inner else first, last, frames if last and not inner else -1
        cached, size = self._cached.get(key), hops * self._hop
        if cached is None or len(cached[0]) < size:
            energy = self._energy_sum(first, hops, frames)
            head = self._energy_sum(0, -(-self._side // self._hop), frames)[: self._side]
            self._fold(energy, first, head, frames if last else None)
            full = self._energy.sum(0)
            hold = HOLD * missing_share(energy.view(-1, self._hop), full).view(-1)
            energy = energy.clamp_min_(LEAST_ENERGY)
            cached = energy.to(self._window), hold.to(self._window)
            # replaced as a whole: streams may run in several threads
            others = self._cached if len(self._cached) < _CACHED else {}
            self._cached = {**others, key: cached}
        part = slice(len(cached[0]) - size, None) if last else slice(size)
        energy, hold = (table[part] for table in cached)
        # hops before the last are emitted only after the samples that a mirror needs
        mirrored = self._frames.mirrored(frames * self._hop) if last else self._frames.mirrors
        return energy, None if mirrored or (inner and not last) else hold

    def _energy_sum(self, first: int, hops: int, frames: int) -> Tensor:
        """The energy of the windows in hops of the sum, without mirrors, in double precision."""
        frame = torch.arange(first, first + hops, device=self._energy.device)[:, None]
        energy = self._energy.new_zeros(hops, self._hop)
        for part in range(self._parts):  # in the same order for any number of hops
            exists = (frame >= part) & (frame < frames + part)
            energy += exists * self._energy[part]
        return energy.view(-1)

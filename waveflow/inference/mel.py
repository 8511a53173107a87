"""The mel of streamed audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import torch
from torch import Tensor

from waveflow.audio.mel import LogMel
from waveflow.inference.framing import Framing
from waveflow.streaming.lapping import SqueezeStage
from waveflow.streaming.rows import SharedBuffer, pulled

SLICE = 1024
"""Number of frames in memory at a time."""

WHOLE = 2**12
"""Number of frames up to which the mel of a recording is computed at once."""


def mel_pieces(audio: Iterable[Tensor], log_mel: LogMel, *, whole: int = WHOLE) -> Iterator[Tensor]:
    """The mel of a recording, cut to whole hops, in memory that does not grow with its length.

    Args:
        audio: Pieces of the recording, (samples,) each.
        log_mel: The front end.
        whole: Number of frames up to which the mel is computed at once, bit for bit as by the
            front end.

    Yields:
        Slices of the mel, (n_mels, ``SLICE`` frames or fewer).

    Raises:
        ValueError: the recording is too short.

    >>> from waveflow.audio import MelConfig
    >>> pieces = mel_pieces(torch.zeros(512000).split(9999), LogMel(MelConfig()), whole=0)
    >>> sum(piece.shape[1] for piece in pieces)
    2000
    """
    hop_length, pieces = log_mel.config.hop_length, iter(audio)
    head, frames = [log_mel.window[:0]], 0
    for piece in pieces:
        head.append(piece)
        frames = sum(map(len, head)) // hop_length
        if frames > whole:
            break
    else:
        start = log_mel.whole_hops(torch.cat(head))
        # a centred mel has one frame more
        yield from log_mel(start[None])[0, :, :frames].split(SLICE, dim=1)
        return
    hops = SqueezeStage(hop_length).begin(SharedBuffer())
    cut = Framing(log_mel.cutting).begin_cutting()

    def push(part: Tensor, last: bool) -> Tensor:
        return cut(hops(part, last).flatten(), last)

    parts = (part for piece in chain(head, pieces) for part in piece.split(SLICE * hop_length))
    for framed in pulled(push, parts):
        for some in framed.split(SLICE):
            yield log_mel.bands(torch.fft.rfft(some * log_mel.window)).mT

"""Streams: the same samples as of the whole, as early as they are decided, in constant memory."""

import random

import pytest
import torch

from tests.conftest import mel_like
from tests.inference.memory import bytes_of_tensors
from waveflow.config import SynthesisConfig


def cuts(frames, seed):
    """A random chunking, empty chunks among them."""
    source = random.Random(seed)
    sizes = []
    while sum(sizes) < frames:
        sizes.append(min(source.choice([0, 1, 1, 2, 3, 8, 21]), frames - sum(sizes)))
    return sizes


def test_stream_is_the_whole(small):
    mel = mel_like(small, 1, 61)
    whole = small(mel, seed=7)[0]
    for seed in range(3):
        pieces = list(small.stream(mel[0].split(cuts(61, seed), dim=1), seed=7))
        assert all(piece.dim() == 1 and len(piece) for piece in pieces)
        assert (torch.cat(pieces) - whole).abs().max() <= 1e-5


def test_chunks_may_share_memory(small):
    """As of a caller that fills one buffer again and again."""
    mel = mel_like(small, 1, 24)[0]
    buffer = torch.empty(3, 4)

    def chunks():
        for chunk in mel.split(3, dim=1):
            yield buffer.copy_(chunk.T).T

    expected = small.stream(mel.split(3, dim=1), seed=1)
    for audio, wanted in zip(small.stream(chunks(), seed=1), expected, strict=True):
        assert torch.equal(audio, wanted)


def test_short_streams(small, double):
    small.double()
    for frames in (1, 2, 3):
        mel = mel_like(small, 1, frames)
        streamed = torch.cat(list(small.stream(mel[0].split(1, dim=1), seed=7)))
        assert (streamed - small(mel, seed=7)[0]).abs().max() <= 1e-12


@pytest.mark.parametrize("chunk", [1, 10, 86])
def test_bundled_model_streams(ljspeech, speech, chunk):
    mel = ljspeech.mel(speech)[..., :100]
    pieces = ljspeech.stream(mel[0].split(chunk, dim=1), seed=1)
    assert (torch.cat(list(pieces)) - ljspeech(mel, seed=1)[0]).abs().max() <= 1e-5


def test_64_iterations_stream(speech):
    """They enlarge rounding a hundred times, so nothing may be rounded otherwise in chunks."""
    from waveflow import Vocoder

    vocoder = Vocoder.from_pretrained("ljspeech-hq")
    mel = vocoder.mel(speech)[..., :60]
    pieces = vocoder.stream(mel[0].split([1, 2, 30, 27], dim=1), seed=1)
    assert (torch.cat(list(pieces)) - vocoder(mel, seed=1)[0]).abs().max() <= 1e-5


def test_audio_comes_as_early_as_told(small):
    """``outputs_after`` is exact, and the look-ahead its worst case, over many frames.

    The worst case comes with the first audio, after 18 frames at most.
    """
    synthesis, hop = small.config.synthesis, small.config.mel.hop_length
    engine = small.engine()
    push = engine.begin(synthesis, seed=0)
    received, lags = 0, []
    for frame in range(1, 31):
        received += len(push(mel_like(small, 1, 1)[0].T, False))
        assert received == engine.outputs_after(frame, synthesis)
        assert (received > 0) == (frame >= engine.first_frames(synthesis))
        lags.append(frame * hop - received)
    assert max(lags) == engine.look_ahead(synthesis) == small.look_ahead()


def test_the_former_name_of_outputs_after_warns(ljspeech):
    engine, synthesis = ljspeech.engine(), ljspeech.config.synthesis
    with pytest.warns(DeprecationWarning, match=r"^expected `Engine.outputs_after`; .* goes in"):
        assert engine.ready(200, synthesis) == engine.outputs_after(200, synthesis)


def test_first_audio_after_one_chunk(ljspeech, speech):
    """The mel of what follows is not asked for before the first sound is out."""
    mel = ljspeech.mel(speech)[0]
    given = 0

    def chunks():
        nonlocal given
        for chunk in mel.split(86, dim=1):
            given += 1
            yield chunk

    first = next(ljspeech.stream(chunks(), seed=0, consistency=3))
    assert given == 1
    assert len(first) == 86 * 256 - ljspeech.look_ahead(consistency=3)


def test_audio_depends_on_the_mel_so_far_alone(small):
    """What has come out cannot be changed by what comes after."""
    first, one, other = (mel_like(small, 1, 60)[0] for _ in range(3))
    pieces = [next(small.stream(iter([first, rest]), seed=0)) for rest in (one, other)]
    assert torch.equal(*pieces)


def test_memory_does_not_grow(small, frozen_past):
    before, sizes = bytes_of_tensors(), []
    push = small.engine().begin(SynthesisConfig(consistency=3), seed=0)
    for chunks in (16, 8):
        for _ in range(chunks):
            push(mel_like(small, 1, 15)[0].T, False)
        sizes.append(bytes_of_tensors() - before)
    assert 0 < sizes[1] <= 1.02 * sizes[0]


def test_nothing_comes_of_nothing(ljspeech):
    assert list(ljspeech.stream([])) == []
    assert list(ljspeech.stream([torch.empty(80, 0)] * 2)) == []


@pytest.mark.parametrize(
    ("chunk", "message"),
    [
        (torch.zeros(1, 80, 4) - 5, r"tensor of shape \(80, frames\); got \(1, 80, 4\)"),
        (torch.zeros(4, 80) - 5, r"expected shape \(batch, 80, frames\)"),
        (torch.full((80, 4), float("nan")), "finite"),
        ([[0.0]], "expected a tensor"),
    ],
)
def test_a_wrong_chunk_is_refused(ljspeech, chunk, message):
    stream = ljspeech.stream([torch.full((80, 90), -5.0), chunk], seed=0, consistency=3)
    assert len(next(stream))
    with pytest.raises(ValueError, match=message):
        next(stream)


def test_look_back_is_the_farthest_change_that_is_heard(small):
    """A frame changed that far before a sample may change it, one farther back does not."""
    hop, synthesis = small.config.mel.hop_length, small.config.synthesis
    mel = mel_like(small, 1, 120)
    changed = mel.clone()
    changed[0, :, 40] -= 3
    with torch.no_grad():
        different = (small(mel, seed=0) != small(changed, seed=0))[0].nonzero()
    reach = int(different.max()) - 40 * hop
    look_back = small.engine().look_back(synthesis)
    if look_back is None:  # behind a recursion
        look_back = 80 * hop
    assert 0.5 * look_back - 4 * hop <= reach <= look_back

"""The low band in streams: the whole one's samples, as early as told, at every convention."""

from dataclasses import replace

import pytest
import torch

from tests.inference.test_stream import cuts
from waveflow.audio import MEL_CONVENTIONS, LogMel, MelConfig, MelConsistency
from waveflow.inference.consistency import StreamedConsistency
from waveflow.streaming.rows import SharedBuffer

CONFIGS = {
    "hifigan-22k": MelConfig(),
    "nvidia-22k": MEL_CONVENTIONS["nvidia-22k"],
    "nemo-hifigan-22k": MEL_CONVENTIONS["nemo-hifigan-22k"],
    "nemo-fastpitch-22k": MEL_CONVENTIONS["nemo-fastpitch-22k"],
    "espnet-24k": MEL_CONVENTIONS["espnet-24k"],
    "full rate": MEL_CONVENTIONS["torchaudio-wavernn-22k"],
    "16 kHz": MelConfig(16000, n_fft=800, win_length=800, hop_length=200),
    "windows that hardly overlap": MelConfig(
        n_fft=512, win_length=512, hop_length=384, center=True
    ),
}


@pytest.fixture(params=CONFIGS)
def consistency(request):
    return MelConsistency(LogMel(CONFIGS[request.param]))


def streamed(consistency, audio, mel, sizes, schedule):
    buffer, pieces, frame = SharedBuffer(), [], 0
    push = StreamedConsistency(consistency).begin(buffer, schedule)
    hop = consistency.log_mel.config.hop_length
    with torch.inference_mode():
        for index, size in enumerate(sizes):
            buffer.push(mel[0, :, frame : frame + size].T)
            part = audio[0, frame * hop : (frame + size) * hop]
            pieces.append(push(part, index == len(sizes) - 1))
            frame += size
    return torch.cat(pieces)[None]


def example(consistency, frames):
    config = consistency.log_mel.config
    sound = torch.randn(
        1, config.hop_length * (frames + 8), dtype=consistency.whole.bands.filters.dtype
    )
    mel = consistency.log_mel(0.05 * sound)[..., :frames]
    return 0.03 * sound[:, : config.hop_length * frames].flip(1), mel


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 61])
@pytest.mark.parametrize("schedule", [(2, 3), (0, 4), (3, 0)])
def test_stream_is_the_whole_in_double_precision(consistency, frames, schedule):
    consistency.double()
    audio, mel = example(consistency, frames)
    whole = consistency(audio, mel, sum(schedule), schedule[0])
    for seed in range(2):
        sizes = cuts(frames, seed)
        got = streamed(consistency, audio, mel, sizes, schedule)
        assert got.shape == whole.shape
        assert (got - whole).abs().max() <= 1e-11


def test_chunks_do_not_change_a_bit(consistency):
    audio, mel = example(consistency, 61)
    whole = streamed(consistency, audio, mel, [61], (2, 4))
    for seed in range(2):
        got = streamed(consistency, audio, mel, cuts(61, seed), (2, 4))
        assert (got - whole).abs().max() <= 1e-6


def test_audio_comes_as_early_as_told(consistency):
    audio, mel = example(consistency, 90)
    form, hop = StreamedConsistency(consistency), consistency.log_mel.config.hop_length
    schedule, buffer, received = (1, 2), SharedBuffer(), 0
    push, reach = form.begin(buffer, schedule), form.reach(schedule)
    for frame in range(90):
        buffer.push(mel[0, :, frame : frame + 1].T)
        received += len(push(audio[0, frame * hop : (frame + 1) * hop], False))
        assert received == reach.outputs_after((frame + 1) * hop)
    assert received > 30 * hop


def test_what_a_sample_needs_is_enough(consistency):
    """Audio changed before it does not reach the sample; a little behind, it does."""
    consistency.double()
    audio, mel = example(consistency, 80)
    sample = 60 * consistency.log_mel.config.hop_length + 17
    first = StreamedConsistency(consistency).reach((1, 1)).first_input_of(sample)
    other = audio.clone()
    other[:, :first] *= -0.5
    one, two = (consistency(each, mel, 2, 1)[0, sample:] for each in (audio, other))
    assert (one - two).abs().max() <= 1e-12
    other[:, : first + 2 * consistency.log_mel.config.n_fft] *= -0.5
    assert (one - consistency(other, mel, 2, 1)[0, sample:]).abs().max() > 0


def test_no_band_below_the_cut_off(consistency):
    config = consistency.log_mel.config
    same = MelConsistency(LogMel(replace(config, f_min=3000.0)), cutoff=2200)
    audio, mel = example(same, 20)
    assert torch.equal(same(audio, mel, 5, 0), audio)
    assert torch.equal(streamed(same, audio, mel, [3, 17], (0, 5)), audio)

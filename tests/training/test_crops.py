"""Crops: functions of their number, dealt fairly, and the same for any number of devices."""

import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from waveflow.audio.mel import LogMel, MelConfig
from waveflow.noise import uniform_noise
from waveflow.training.clips import Clip, MemoryClips
from waveflow.training.crops import Batches, CropPositions, Crops, DeviceCorpus
from waveflow.training.data import numbers_of


class InGroups(MemoryClips):
    """Clips in memory, as if they lay in shards of two."""

    def __init__(self, clips):
        super().__init__(clips.clips, hop_length=clips.hop_length)
        self.groups = [range(i, min(i + 2, len(self.clips))) for i in range(0, len(self.clips), 2)]


def test_crops_are_in_register_and_a_function_of_their_number(clips):
    crops = Crops(clips, segment_frames=16, seed=3)
    same = Crops(clips, segment_frames=16, seed=3)
    other = Crops(clips, segment_frames=16, seed=4)
    for index in (0, 1, 57, 100_000):
        audio, mel = crops[index]
        assert audio.shape == (16 * 256,)
        assert mel.shape == (80, 16)
        assert torch.equal(audio, same[index][0])
        assert not torch.equal(audio, other[index][0])
        inner = LogMel(MelConfig())(audio[None])[0, :, 2:-2]  # edges see beyond the crop
        assert (inner - mel[:, 2:-2]).exp().log2().abs().median() < 0.05


@pytest.mark.parametrize("open_groups", [1, 3, 100])
def test_an_epoch_deals_every_clip_in_proportion(clips, open_groups):
    crops = Crops(InGroups(clips), segment_frames=16, seed=3, open_groups=open_groups)
    expected = [frames // 16 for frames in clips.frames]
    size = sum(expected)
    epochs = [
        [crops._owner(i) for i in range(epoch * size, (epoch + 1) * size)] for epoch in (0, 5)
    ]
    assert epochs[0] != epochs[1]
    for owners in epochs:
        assert np.bincount(owners, minlength=len(expected)).tolist() == expected


def test_few_groups_are_open_at_a_time(clips):
    crops = Crops(InGroups(clips), segment_frames=16, seed=3, open_groups=2)
    size = sum(frames // 16 for frames in clips.frames)
    groups = [crops._owner(index) // 2 for index in range(size)]
    spans = {group: (groups.index(group), size - groups[::-1].index(group)) for group in groups}
    for index in range(size):
        assert sum(first <= index < end for first, end in spans.values()) <= 2
    assert any(first != 0 for first, _ in spans.values())


def test_quiet_places_are_drawn_again():
    audio = torch.zeros(256 * 400, dtype=torch.int16)
    audio[: 256 * 300] = 1000
    clip = Clip("half silent", audio, torch.zeros(80, 400))
    crops = Crops(MemoryClips([clip], hop_length=256), segment_frames=16, seed=0)
    assert all(crops.draw(index)[2].audio.abs().max() == 1000 for index in range(200))


@pytest.mark.parametrize(("devices", "parts"), [(1, 1), (2, 1), (1, 4), (2, 2), (8, 1)])
def test_devices_and_parts_share_the_same_steps(devices, parts):
    shares = [
        list(islice(Batches(8, start=3, rank=rank, devices=devices, parts=parts), 5 * parts))
        for rank in range(devices)
    ]
    for step in range(5):
        dealt = [
            index for share in shares for batch in share[step * parts :][:parts] for index in batch
        ]
        assert sorted(dealt) == list(range(8 * (3 + step), 8 * (4 + step)))


def test_a_batch_that_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="a multiple of 3 devices times 2 parts"):
        Batches(8, devices=3, parts=2)


@pytest.mark.parametrize(("size", "devices"), [(5, 1), (5, 2), (2, 5)])
def test_validation_clips_are_shared_once_and_nobody_is_left_out(size, devices):
    shares = [numbers_of(size, rank=rank, devices=devices) for rank in range(devices)]
    assert all(shares)
    assert sorted(i for share in shares for i in share if i < size) == list(range(size))


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_every_start_method_draw_the_same(clips, method):
    few = MemoryClips(clips.clips[:2], hop_length=256)
    dataset = Crops(few, segment_frames=16, seed=3)
    expected = [dataset[index] for index in range(4)]  # fills what crops keep, as well
    loader = DataLoader(
        dataset,
        batch_sampler=[range(2), range(2, 4)],
        num_workers=1,
        multiprocessing_context=method,
    )
    for batch, pair in zip(loader, (expected[:2], expected[2:]), strict=True):
        torch.testing.assert_close(batch, default_collate(pair), rtol=0, atol=0)


def test_positions_reach_workers_as_their_crops_do(clips):
    positions = CropPositions(Crops(clips, segment_frames=16, seed=3))
    same = pickle.loads(pickle.dumps(positions))
    assert all(torch.equal(positions[index], same[index]) for index in range(4))


def test_a_device_corpus_cuts_the_same_crops(clips):
    crops = Crops(clips, segment_frames=16, seed=3)
    positions = CropPositions(crops)
    corpus = DeviceCorpus(crops, device=torch.device("cpu"))
    numbers = [0, 5, 77, 3]
    audio, mel = corpus.cut(torch.stack([positions[number] for number in numbers]))
    assert torch.equal(audio, torch.stack([crops[number][0] for number in numbers]))
    assert torch.equal(mel, torch.stack([crops[number][1] for number in numbers]))


def test_uniform_noise_is_uniform_and_its_rows_are_strangers():
    noise = uniform_noise(1, torch.arange(200), 5000)
    assert noise.min() >= 0
    assert noise.max() < 1
    counts = torch.histc(noise, 100, 0, 1)
    expected = noise.numel() / 100
    assert (counts - expected).square().sum() / expected < 160  # chi-square, 99 degrees: p < 1e-4
    centred = noise - 0.5
    neighbours = (centred[:-1] * centred[1:]).mean() * 12
    shifted = (centred[:, :-1] * centred[:, 1:]).mean() * 12
    assert max(abs(neighbours), abs(shifted)) < 5e-3
    assert not torch.equal(noise[0], uniform_noise(2, torch.tensor([0]), 5000)[0])


def test_uniform_noise_is_splitmix64():
    """Against the published generator, written down in Python's integers."""
    mask = 2**64 - 1

    def finalise(word):
        word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & mask
        word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & mask
        return word ^ (word >> 31)

    seed, key = 12345, 678
    state = finalise((finalise(seed) + key) & mask)
    for value in uniform_noise(seed, torch.tensor([key]), 20)[0].tolist():
        state = (state + 0x9E3779B97F4A7C15) & mask
        assert value == (finalise(state) >> 11) / 2**53

"""Noise is a function of (seed, example, position), and is normal."""

import pytest
import torch

from tests.pretend_cuda import pretend_cuda
from waveflow.noise import _mix_number, _words, positional_noise


def test_any_cut_gives_the_same_values():
    whole = positional_noise(11, 3, 1000)
    for start, length in [(0, 1), (1, 7), (4, 4), (509, 491), (999, 1)]:
        assert torch.equal(
            positional_noise(11, 3, length, start=start), whole[:, start : start + length]
        )
    assert torch.equal(positional_noise(11, 1, 1000), whole[:1])


def test_seeds_and_examples_differ():
    noise = torch.cat([positional_noise(seed, 2, 4000) for seed in (0, 1, 2**64 - 1)])
    correlation = torch.corrcoef(noise) - torch.eye(6, dtype=torch.float64)
    assert correlation.abs().max() < 0.06


def test_moments_and_tails():
    noise = positional_noise(5, 1, 400_000)[0]
    assert abs(noise.mean()) < 0.01
    assert abs(noise.var() - 1) < 0.01
    assert abs((noise**4).mean() - 3) < 0.05
    assert abs((noise[1:] * noise[:-1]).mean()) < 0.01
    assert 3.8 < noise.abs().max() < 6.8


def test_a_device_makes_the_same_values():
    expected = positional_noise(2**64 - 1, 3, 1000, start=7)
    with pretend_cuda() as counts:
        found = positional_noise(2**64 - 1, 3, 1000, start=7, device="cuda")
        assert found.device.type == "cuda"
        assert counts.uploads.total() == 1
        assert not counts.waits
        torch.testing.assert_close(found.cpu(), expected, rtol=0, atol=1e-14)


def test_words_are_those_of_the_paper():
    """SplitMix64 of Vigna's splitmix64.c from state 1234567, and the same mixing of numbers."""
    state = 1234567
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    golden = 0x9E3779B97F4A7C15
    assert [_mix_number(state + golden * n) for n in (1, 2, 3)] == expected
    words = _words(torch.tensor([state]), 3)[0]
    assert [word % 2**64 for word in words.tolist()] == expected


def test_neighbouring_seeds_examples_and_positions_have_nothing_in_common():
    noise = torch.stack([positional_noise(seed, 4, 2000) for seed in (0, 1, 2, 3, 2**63)]).flatten(
        0, 1
    )
    assert len(noise.unique()) == noise.numel()
    for shift in (1, 2, 256):
        lagged = torch.corrcoef(torch.cat([noise[:, shift:], noise[:, :-shift]]))
        assert (lagged - torch.eye(len(lagged), dtype=torch.float64)).abs().max() < 0.1


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(ValueError, match="got -1"):
        positional_noise(-1, 1, 1)

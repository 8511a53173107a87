"""Noise is a function of (seed, example, position), and is normal."""

import pytest
import torch

from waveflow.noise import positional_noise


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


def test_a_seed_out_of_range_is_refused():
    with pytest.raises(ValueError, match="got -1"):
        positional_noise(-1, 1, 1)

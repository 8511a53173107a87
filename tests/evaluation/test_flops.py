"""Counts of multiplications against those made by hand."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.conftest import TINY, small_config
from waveflow import MODELS, Vocoder
from waveflow.evaluation import gmacs_per_second
from waveflow.nets import SeparableWaveNet


@pytest.mark.parametrize("mode", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_network_is_counted(mode):
    net = SeparableWaveNet(3, 4, 5, channels=6, layers=2, kernel_size=3)
    x, context = torch.zeros(2, 3, 8), torch.zeros(2, 5, 4)
    step = 3 * 6 + 2 * (3 * 6 + 6 * 12 + 6 * 6) + 6 * 4  # start, two layers, end
    frame = 5 * (2 * 2 * 6)  # condition
    expected = 2 * (8 * step + 4 * frame)
    with mode():
        found = gmacs_per_second(lambda: net(x, context), 0.5)
    assert found == pytest.approx(expected / 0.5e9)


def test_products_are_counted_but_no_ffts_nor_elementwise_work():
    matrix, x = torch.randn(4, 5), torch.randn(2, 5, 6)
    assert gmacs_per_second(lambda: matrix @ x, 1.0) == pytest.approx(2 * 4 * 5 * 6 / 1e9)
    assert gmacs_per_second(lambda: torch.fft.rfft(x).abs() * x.sum(), 1.0) == 0


def test_a_transposed_convolution_is_counted():
    layer = nn.ConvTranspose1d(3, 4, 10, stride=5)
    assert gmacs_per_second(lambda: layer(torch.zeros(1, 3, 7)), 1.0) == 7 * 3 * 4 * 10 / 1e9


def test_a_vocoder_is_counted(vocoder):
    """A lapflow: mel encoder, whitening at its rate, then a WaveNet a flow at the squeezed rate."""
    frames, hop, bands = 4, 256, vocoder.config.mel.n_mels
    groups, wide = TINY["groups"], TINY["whitening_groups"]
    channels, context = TINY["channels"], TINY["context_channels"]
    steps, time = frames * hop // groups, frames * hop
    encoder = frames * (3 * bands * context + 3 * context**2 + context**2)
    transforms = time * (2 * wide + groups) + frames * context * wide
    layers = channels * (3 * 2 * channels) * 2 + channels * 2 * channels + channels * channels
    half = groups // 2
    a_step = groups**2 + half * channels + layers + channels * groups
    a_flow = steps * a_step + frames * context * (2 * channels * TINY["layers"])
    expected = (encoder + transforms + TINY["flows"] * a_flow) / 1e9
    z, mel = torch.zeros(1, groups, steps), torch.full((1, bands, frames), -5.0)
    assert gmacs_per_second(lambda: vocoder.decode(z, mel), 1.0) == pytest.approx(expected)


@pytest.mark.parametrize("name", MODELS)
def test_a_model_costs_the_same_with_and_without_gradients(name):
    vocoder = Vocoder(small_config(name)).eval()
    groups, hop = vocoder.config.model.groups, vocoder.config.mel.hop_length
    z, bands = torch.zeros(1, groups, 4 * hop // groups), vocoder.config.mel.n_mels
    mel = torch.full((1, bands, 4), -5.0)

    def decode():
        vocoder.decode(z, mel)

    counts = {
        gmacs_per_second(mode()(decode), 1.0) for mode in (torch.no_grad, torch.inference_mode)
    }
    assert counts == {gmacs_per_second(decode, 1.0)} != {0.0}


def test_another_counter_may_stand_around():
    layer, x = nn.Linear(2, 3), torch.zeros(5, 2)
    with FlopCounterMode(display=False) as outer:
        assert gmacs_per_second(lambda: layer(x), 1.0) == 5 * 2 * 3 / 1e9
        layer(x)
    assert outer.get_total_flops() == 2 * 2 * 5 * 2 * 3


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_a_duration_must_be_positive(seconds):
    with pytest.raises(ValueError, match="seconds above 0"):
        gmacs_per_second(lambda: None, seconds)

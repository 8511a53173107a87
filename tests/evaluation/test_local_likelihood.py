"""The parts of a log-likelihood: they add up, and they are where the sound is."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.bijections.cases import CASES
from tests.conftest import CLIPS, SMALL, randomise, small_config
from waveflow import Vocoder
from waveflow.audio import read_audio
from waveflow.audio.quantise import dequantise, fixed_noise, quantise
from waveflow.bijections import Affine, Bijection, Chain, ContextAffine, Scale, Squeeze
from waveflow.demo.inspection import damaged, middle_second
from waveflow.evaluation.local_likelihood import local_log_prob, per_frame

HOP = 256


@pytest.mark.parametrize("name", SMALL)
def test_parts_sum_to_the_log_likelihood(name, double):
    vocoder = randomise(Vocoder(small_config(name))).eval()
    audio = 0.3 * torch.randn(3, 16 * 12)
    local = local_log_prob(vocoder, audio)
    assert local.nats.shape == local.surprise.shape == (3, 12)
    torch.testing.assert_close(local.nats.sum(1), vocoder.log_prob(audio), rtol=1e-12, atol=1e-9)
    z = vocoder.encode(audio)
    torch.testing.assert_close(local.surprise.sum(1), 0.5 * (z.square() - 1).sum((1, 2)))


@pytest.mark.parametrize("name", CASES)
def test_parts_sum_to_every_log_determinant(name, double):
    make, shape, context_shape = CASES[name]
    bijection = randomise(make()).eval()
    x = torch.randn(shape)
    context = None if context_shape is None else torch.randn(context_shape)
    z, log_det = bijection(x, context)
    local_z, parts = bijection.local_log_det(x, context)
    torch.testing.assert_close(local_z, z, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(parts.sum(1), log_det, rtol=1e-10, atol=1e-10)


def test_an_elementwise_maps_parts_are_its_log_scales(double):
    parameters = torch.randn(2, 6, 5)
    _, parts = Affine().local_log_det(torch.randn(2, 3, 5), parameters)
    torch.testing.assert_close(parts, parameters[:, 3:].sum(1))


def test_a_scale_that_one_frame_has_is_told_at_that_frame(double):
    """Context of a fine and of a coarse rate, added at the finer one."""
    fine = ContextAffine(nn.Identity(), Scale())
    chain = Chain(Squeeze(4), fine, fine)
    context = torch.zeros(1, 4, 6)
    context[0, :, 2] = 0.25
    _, parts = chain.local_log_det(torch.randn(1, 24), context)
    assert parts.tolist() == [[0, 0, 2, 0, 0, 0]]


def test_sums_and_shares():
    values = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    assert per_frame(values, 2).tolist() == [[3, 7]]
    assert per_frame(values, 8).tolist() == [[0.5, 0.5, 1, 1, 1.5, 1.5, 2, 2]]
    with pytest.raises(ValueError, match="multiple or a divisor of 3"):
        per_frame(values, 3)


def test_by_default_a_log_determinant_is_spread_evenly():
    class Louder(Bijection):
        def forward(self, x, context=None):
            return 2 * x, x.new_full(x.shape[:1], x.shape[1] * math.log(2))

    chain = Chain(Louder(), Squeeze(2), ContextAffine(nn.Identity(), Scale()))
    z, parts = chain.local_log_det(torch.ones(1, 8), torch.zeros(1, 2, 4))
    assert (z == 2).all()
    torch.testing.assert_close(parts, torch.full((1, 4), 2 * math.log(2)))


def test_audio_of_no_whole_hops_is_refused(ljspeech):
    with pytest.raises(ValueError, match="multiple of 256"):
        local_log_prob(ljspeech, torch.zeros(1, 2570))


def surprise(vocoder, audio, frames):
    """The running mean over so many frames, nats per sample."""
    points = dequantise(quantise(audio), fixed_noise(len(audio)))
    local = local_log_prob(vocoder, points[None])
    return functional.avg_pool1d(local.surprise[:, None] / HOP, frames, 1)[0, 0]


@pytest.fixture(scope="module", params=["LJ001-0003", "LJ001-0005", "LJ001-0016"])
def recording(request):
    audio, _ = read_audio(CLIPS / f"{request.param}.flac")
    return audio[: len(audio) // HOP * HOP]


@pytest.mark.parametrize("damage", ["clipped", "noise, 20 dB below"])
def test_a_clipped_and_a_noisy_second_stand_out(damage, recording):
    vocoder = Vocoder.from_pretrained("ljspeech-hq")
    start, stop = middle_second(len(recording), 22050, HOP)
    curve = surprise(vocoder, damaged(vocoder, recording, damage, start, stop), 43)
    first = curve.argmax().item() * HOP
    assert start < first + 43 * HOP  # they overlap
    assert first < stop
    assert curve.max() > 2 * surprise(vocoder, recording, 43).max()


@pytest.mark.parametrize("model", ["ljspeech", "ljspeech-nano"])
def test_a_draw_at_a_low_temperature_is_too_ordinary(model, recording):
    """A latent of standard deviation T is surprising by (T^2 - 1) / 2 nats a sample."""
    vocoder = Vocoder.from_pretrained(model)
    mel = vocoder.mel(recording[None])
    noise = torch.randn(vocoder.encode(recording[None], mel).shape)
    with torch.no_grad():
        drawn = vocoder.decode(0.6 * noise, mel)
        local = local_log_prob(vocoder, drawn, mel)
    seconds = functional.avg_pool1d(local.surprise[:, None] / HOP, 86, 1)
    assert seconds.mean() == pytest.approx((0.6**2 - 1) / 2, abs=0.01)
    assert seconds.max() < surprise(vocoder, recording, 86).min()

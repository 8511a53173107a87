"""What it takes to add a bijection: its own class. All that runs vocoders follows."""

import pytest
import torch

from tests.conftest import KINDS, mel_like, small_vocoder
from tests.export.onnx_runtime import run_onnx
from waveflow.bijections import Bijection, Chain
from waveflow.bijections.base import zero_log_det
from waveflow.config import SynthesisConfig
from waveflow.evaluation.local_likelihood import local_log_prob
from waveflow.export.onnx import traced
from waveflow.noise import positional_noise
from waveflow.streaming.linear import LinearStage


class Rolled(Bijection):
    """A fixed permutation: every channel moves on by ``places``."""

    volume_preserving = True

    def __init__(self, channels, places):
        super().__init__()
        self.channels, self.places = channels, places

    def x_shape(self):
        return "batch", self.channels, "steps"

    def forward(self, x, context=None):
        return x.roll(self.places, 1), zero_log_det(x)

    def inverse(self, z, context=None):
        return z.roll(-self.places, 1)

    def stages(self, place):
        matrix = self.matrix().double()
        return [LinearStage(matrix, matrix.new_zeros(self.channels), place.like)], place

    def matrix(self):
        return torch.eye(self.channels).roll(self.places, 0)


class Shifted(Bijection):
    """A learned shift of every channel, with no more than what is needed."""

    def __init__(self, channels):
        super().__init__()
        self.shift = torch.nn.Parameter(torch.linspace(-0.1, 0.2, channels)[:, None])

    def forward(self, x, context=None):
        return x + self.shift, zero_log_det(x)

    def inverse(self, z, context=None):
        return z - self.shift

    def stages(self, place):
        shift = self.shift.detach()[:, 0].double()
        return [LinearStage(torch.ones_like(shift), -shift, place.like)], place


def with_new(bijection, name):
    """A small vocoder in whose chain a new bijection stands before the last one."""
    vocoder = small_vocoder(next(kind for kind in KINDS if kind[0] == name))
    *most, last = vocoder.flow.bijection.bijections
    vocoder.flow.bijection = Chain(*most, bijection, last)
    return vocoder.eval()


NEW = {"Rolled": lambda: Rolled(8, 3), "Shifted": lambda: Shifted(8)}


@pytest.fixture(params=NEW)
def vocoder(request):
    return with_new(NEW[request.param](), "lapflow")


def sounds(vocoder, mel):
    """Of the engine, and of the modules themselves."""
    noise = vocoder.config.synthesis.temperature * positional_noise(5, 1, mel.shape[-1] * 16)
    with torch.no_grad():
        plain = vocoder.decode(noise.float().view(1, -1, 8).mT, mel)
    return vocoder(mel, seed=5, consistency=0), plain


def test_synthesis_and_streams_follow(vocoder):
    mel = mel_like(vocoder, 1, 30)
    sound, plain = sounds(vocoder, mel)
    assert (sound - plain).abs().max() <= 1e-5
    stream = torch.cat(list(vocoder.stream(mel[0].split([3, 20, 7], 1), seed=5, consistency=0)))
    assert (stream - sound[0]).abs().max() <= 1e-5


def test_likelihood_follows(vocoder):
    audio = 0.3 * torch.randn(2, 16 * 12)
    with torch.no_grad():
        expected = vocoder.log_prob(audio)
    torch.testing.assert_close(local_log_prob(vocoder, audio).nats.sum(1), expected)


def test_programs_follow():
    """For torch and for ONNX Runtime."""
    vocoder = with_new(Shifted(8), "nice")  # whose layers are quickly traced
    program = traced(vocoder, SynthesisConfig(temperature=1.0, consistency=0), "input")
    mel = mel_like(vocoder, 1, 9)
    noise = positional_noise(5, 1, 9 * 16).float()
    (in_onnx,) = run_onnx(program, [mel, noise], 1)
    expected = vocoder(mel, seed=5, temperature=1.0, consistency=0)
    for audio in (program.module()(mel, noise), in_onnx):
        assert (audio - expected).abs().max() <= 1e-5


def test_a_bijection_without_stages_says_what_it_lacks():
    class Unfinished(Rolled):
        stages = Bijection.stages

    vocoder = with_new(Unfinished(8, 1), "lapflow")
    with pytest.raises(TypeError, match="known of Unfinished: expected a method `stages`"):
        vocoder(mel_like(vocoder, 1, 4))


def test_a_network_without_a_stage_says_what_it_lacks():
    vocoder = small_vocoder(KINDS[0])
    mel = mel_like(vocoder, 1, 4)
    vocoder.context_net = torch.nn.Conv1d(4, 5, 1)
    with pytest.raises(TypeError, match="known of Conv1d: expected a method `stage`"):
        vocoder(mel)

"""What it takes to add a model with a network of its own: this, and a line in ``MODELS``."""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pytest
import torch
from torch import nn

from tests.conftest import MEL, mel_like, randomise
from tests.training.processes import CLIPS
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import write_audio
from waveflow.audio.fields import number
from waveflow.bijections import Affine, Chain, Channels, Coupling, Squeeze
from waveflow.cli import main
from waveflow.config import MODELS
from waveflow.models.base import EncodedConfig
from waveflow.streaming.linear import LinearStage
from waveflow.streaming.products import add_product
from waveflow.streaming.weights import as_matrix, to_constant
from waveflow.training.config import TrainingConfig
from waveflow.training.run import train


class Sum(nn.Module):
    """A conditioner without hidden layers: a linear map of the data and of the context."""

    def __init__(self, in_channels, out_channels, context_channels):
        super().__init__()
        self.data = nn.Conv1d(in_channels, out_channels, 1)
        self.condition = nn.Conv1d(context_channels, out_channels, 1)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x, context):
        ratio = x.shape[-1] // context.shape[-1]
        return self.data(x) + self.condition(context).repeat_interleave(ratio, -1)

    def stage(self, ratio):
        return SumStage(self, ratio)


class SumStage:
    """The same, row by row."""

    def __init__(self, network, ratio):
        weight, bias = as_matrix(network.data)
        self.weight, self.ratio = to_constant(weight, network.data.weight), ratio
        of_context, context_bias = as_matrix(network.condition)
        self.condition = LinearStage(of_context, context_bias + bias, network.data.weight)

    def begin(self, context):
        reader = context.reader(self.ratio)

        def push(rows, last):
            parameters = reader.take(len(rows), self.condition).clone()
            add_product(parameters, rows, self.weight)
            return parameters

        return push

    def outputs_after(self, steps):
        return steps

    def first_input_of(self, step):
        return step


@dataclass(frozen=True)
class ShallowConfig(EncodedConfig):
    """Couplings of linear maps.

    Attributes:
        flows: Number of couplings, on alternating halves.
    """

    name: ClassVar[str] = "shallow"
    flows: int = number(4, 1, 64)

    def build(self, mel):
        context_net = self._context_net(mel)
        network = partial(Sum, context_channels=context_net.out_channels)
        couplings = [
            Coupling.of(Channels(swap=flow % 2 == 1), self.groups, network, Affine())
            for flow in range(self.flows)
        ]
        return context_net, Chain(Squeeze(self.groups), *couplings)


SIZES = {"name": "shallow", "groups": 8, "channels": 8, "context_channels": 8, "context_layers": 1}


@pytest.fixture(autouse=True)
def _line_in_models(monkeypatch):
    monkeypatch.setitem(MODELS, "shallow", ShallowConfig)


@pytest.fixture
def new():
    config = VocoderConfig.from_dict({"model": SIZES, "mel": MEL})
    return randomise(Vocoder(config), 0.05).eval()


def test_it_is_a_flow(new):
    mel = mel_like(new, 2, 12)
    audio = new(mel, seed=3)
    torch.testing.assert_close(new.decode(new.encode(audio, mel), mel), audio, rtol=0, atol=1e-4)
    audio = audio[:1, :192].double()
    double = new.double()
    jacobian = torch.autograd.functional.jacobian(
        lambda x: double.encode(x, mel[:1].double()).flatten(), audio
    )
    z = double.encode(audio, mel[:1].double())
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
    expected = normal + jacobian.reshape(192, 192).slogdet().logabsdet
    torch.testing.assert_close(double.log_prob(audio, mel[:1].double())[0], expected)


def test_it_streams(new, double):
    mel = mel_like(new.double(), 1, 40)
    streamed = torch.cat(list(new.stream(mel[0].split(7, dim=1), seed=3)))
    assert (streamed - new(mel, seed=3)[0]).abs().max() <= 1e-12


def test_a_wrong_field_is_refused():
    with pytest.raises(ValueError, match=r"model\.flows.*65"):
        VocoderConfig.from_dict({"model": {**SIZES, "flows": 65}, "mel": MEL})


def test_it_is_trained_saved_and_used_from_the_command_line(tmp_path, capsys):
    recipe = TrainingConfig.from_dict(
        {
            "model": {**SIZES, "groups": 64},
            "data": {"segment_frames": 16, "batch_size": 2},
            "optimizer": {"max_steps": 2},
            "run": {"audio_clips": 0, "loggers": ["csv"]},
        }
    )
    assert train(recipe, data=CLIPS, out=tmp_path / "run", device="cpu").steps == 2
    model = tmp_path / "run" / "model"
    vocoder = Vocoder.from_pretrained(model)
    assert isinstance(vocoder.config.model, ShallowConfig)
    write_audio(tmp_path / "speech.wav", torch.randn(4096) / 100, 22050)
    words = f"vocode {tmp_path}/speech.wav -o {tmp_path}/o.wav --model {model} --device cpu"
    assert main([*words.split(), "--temperature", "0.1"]) == 0
    assert main(["info", str(model)]) == 0
    assert "shallow" in capsys.readouterr().out

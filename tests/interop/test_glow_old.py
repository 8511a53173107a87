"""The halves that ``glow_old`` swaps, wherever a vocoder computes."""

import dataclasses

import pytest
import torch

from tests.conftest import randomise, small_config
from waveflow import Vocoder, VocoderConfig
from waveflow.export.graph import SynthesisGraph
from waveflow.noise import positional_noise


def small_vocoder(*, swap_odd):
    config = small_config("waveglow")
    model = dataclasses.replace(config.model, swap_odd=swap_odd)
    synthesis = config.synthesis.override(temperature=0.7, consistency=2)
    torch.manual_seed(3)
    config = dataclasses.replace(config, model=model, synthesis=synthesis)
    return randomise(Vocoder(config), 0.1).eval()


@pytest.fixture(scope="module")
def vocoder():
    return small_vocoder(swap_odd=True)


@pytest.fixture
def mel(vocoder):
    return -7 + torch.randn(2, vocoder.config.mel.n_mels, 30)


def test_odd_flows_move_the_first_half():
    modules = small_vocoder(swap_odd=True).modules()
    swaps = [module.partition.swap for module in modules if hasattr(module, "partition")]
    assert swaps == [False, True, False]


def test_synthesis_is_the_inverse(vocoder, mel):
    latent = positional_noise(5, 2, mel.shape[-1] * 16).float().unflatten(1, (-1, 8)).mT
    expected = vocoder.decode(0.7 * latent, mel)
    made = vocoder(mel, seed=5, consistency=0)
    assert (made - expected).abs().max() < 1e-5
    other = small_vocoder(swap_odd=False)
    other.load_state_dict(vocoder.state_dict())
    assert (made - other(mel, seed=5, consistency=0)).abs().max() > 1e-2


def test_likelihood_is_that_of_the_jacobian(vocoder):
    vocoder = small_vocoder(swap_odd=True).double()
    mel = (-7 + torch.randn(1, 4, 2)).double()
    audio = 0.3 * torch.randn(1, 32, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda x: vocoder.encode(x, mel), audio)
    log_det = torch.linalg.slogdet(jacobian.reshape(32, 32)).logabsdet
    expected = vocoder.flow.base.log_prob(vocoder.encode(audio, mel)) + log_det
    assert torch.allclose(vocoder.log_prob(audio, mel), expected)


def test_streams_are_the_whole(vocoder, mel):
    pieces = vocoder.stream(mel[0].split([1, 7, 2, 20], dim=1), seed=5)
    assert (torch.cat(list(pieces)) - vocoder(mel[:1], seed=5)[0]).abs().max() < 1e-5


def test_the_graph_of_other_runtimes_sounds_the_same(vocoder, mel):
    noise = positional_noise(5, 2, mel.shape[-1] * 16).float()
    audio = SynthesisGraph(vocoder, vocoder.config.synthesis)(mel, noise)
    assert (audio - vocoder(mel, seed=5)).abs().max() < 1e-4


def test_configs_without_the_field_still_load(vocoder):
    values = vocoder.config.to_dict()
    assert VocoderConfig.from_dict(values) == vocoder.config
    del values["model"]["swap_odd"]
    assert VocoderConfig.from_dict(values).model.swap_odd is False

"""Weight norm: one class for the compiler, and yet every module can be changed on its own."""

import copy
import io
import multiprocessing
import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from tests.conftest import SMALL, randomise, small_config
from waveflow import Vocoder
from waveflow.inference.denoiser import Denoiser
from waveflow.interop import adapters
from waveflow.nets import WaveNet

ADAPTERS = [each for each in vars(adapters).values() if str(each).count(".As")]


@pytest.fixture(params=SMALL)
def small(request):
    """A small vocoder of every model, off its initial state."""
    return randomise(Vocoder(small_config(request.param)), 0.05).eval()


@pytest.fixture
def mel(small):
    return (torch.randn(2, small.config.mel.n_mels, 9) - 6).clamp(-9, -4)


def normalised(module):
    return [part for part in module.modules() if parametrize.is_parametrized(part)]


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


def test_layers_of_a_kind_are_of_one_class(small):
    kinds = {type(part) for part in normalised(small)}
    assert len(kinds) <= 2
    assert kinds == {type(part) for part in normalised(copy.deepcopy(small))}


@pytest.mark.parametrize("count", [1, None], ids=["one", "all"])
def test_removing_weight_norm_changes_no_sound(small, mel, count):
    other = copy.deepcopy(small)
    expected = small(mel, seed=0)
    nats = small.log_prob(expected, mel)
    for part in normalised(small)[:count]:
        parametrize.remove_parametrizations(part, "weight")
        assert not parametrize.is_parametrized(part)
        assert type(part).__name__ in ("PaddedConv1d", "Pointwise")
    for vocoder in (small, other, copy.deepcopy(other)):
        assert (vocoder(mel, seed=0) - expected).abs().max() < 1e-5
        assert (vocoder.log_prob(expected, mel) - nats).abs().max() < 1e-2
    fresh = Vocoder(small.config)
    fresh.load_state_dict(other.state_dict())
    assert torch.equal(fresh.eval()(mel, seed=0), expected)


def test_another_parametrisation_is_of_its_module_alone(small, mel):
    expected = small(mel, seed=0)
    other = copy.deepcopy(small)
    part = normalised(other)[0]
    bias = part.bias.detach().clone()
    parametrize.register_parametrization(part, "bias", Twice())
    assert torch.equal(part.bias, 2 * bias)
    assert torch.equal(small(mel, seed=0), expected)
    assert torch.equal(normalised(small)[0].bias, bias)
    parametrize.remove_parametrizations(part, "bias")
    parametrize.remove_parametrizations(part, "weight")
    assert torch.equal(part.bias, 2 * bias)
    assert torch.equal(small(mel, seed=0), expected)


def test_a_cache_of_weights_does_not_mix_them(small, mel):
    audio = small(mel, seed=0)
    with torch.no_grad():
        nats = small.log_prob(audio, mel)
        with parametrize.cached():
            assert torch.equal(small.log_prob(audio, mel), nats)


def older(name):
    return name.replace("parametrizations.weight.original0", "weight_g").replace(
        "parametrizations.weight.original1", "weight_v"
    )


def test_weights_of_any_spelling_load(small, mel, tmp_path):
    expected = small(mel, seed=0)
    state = {older(name): tensor for name, tensor in small.state_dict().items()}
    other = Vocoder(small.config).eval()
    other.load_state_dict(state)
    assert torch.equal(other(mel, seed=0), expected)
    for part in normalised(other):
        parametrize.remove_parametrizations(part, "weight")
    other.save_pretrained(tmp_path)
    loaded = Vocoder.from_pretrained(tmp_path)
    assert loaded.state_dict().keys() == small.state_dict().keys()
    assert (loaded(mel, seed=0) - expected).abs().max() < 1e-5


def by_pickle(module):
    return pickle.loads(pickle.dumps(module))


def by_torch(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("carried", [by_pickle, by_torch, copy.deepcopy, copy.copy])
def test_a_vocoder_can_be_carried(small, mel, carried):
    expected = small(mel, seed=0)
    other = carried(small)
    assert other.config == small.config
    assert other.state_dict().keys() == small.state_dict().keys()
    assert torch.equal(other(mel, seed=0), expected)
    assert torch.equal(other.log_prob(expected, mel), small.log_prob(expected, mel))


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapter_can_be_carried(kind):
    vocoder = Vocoder(small_config("lapflow")).eval()
    adapter = kind(vocoder, seed=3)
    mel = torch.full((1, 4, 9), -6.0)
    other = by_pickle(adapter)
    assert torch.equal(other.speak(mel), adapter.speak(mel))


def test_a_denoiser_can_be_carried():
    denoiser = Denoiser(torch.full((17,), 0.01), small_config("nice").mel)
    audio = 0.1 * torch.randn(1, 160)
    assert torch.equal(by_pickle(denoiser)(audio), denoiser(audio))


def spoken(vocoder, mel):
    return vocoder(mel, seed=0).sum().item()


def test_a_vocoder_reaches_a_spawned_process():
    vocoder = randomise(Vocoder(small_config("lapflow")), 0.05).eval()
    mel = torch.full((1, 4, 9), -6.0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(spoken, (vocoder, mel))
    assert found == pytest.approx(spoken(vocoder, mel), abs=1e-4)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_callers_may_remove_weight_norm(kind):
    vocoder = Vocoder(small_config("lapflow")).eval()
    names = list(vocoder.state_dict())
    adapter = kind(vocoder).eval()
    mel = torch.full((1, 4, 9), -6.0)
    expected = adapter.speak(mel)
    for _ in range(2):
        adapter.remove_weight_norm()
    assert torch.equal(adapter.speak(mel), expected)
    assert list(vocoder.state_dict()) == names


def test_waveglows_callers_may_remove_weight_norm():
    waveglow = adapters.AsWaveGlow(Vocoder(small_config("lapflow")).eval())
    assert waveglow.remove_weightnorm(waveglow) is waveglow


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler
def test_all_networks_are_one_program():
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    for _ in range(3):
        network = WaveNet(2, 4, 3, channels=6, layers=2)
        network.compile(backend="eager", dynamic=False)
        network(torch.randn(1, 2, 8), torch.randn(1, 3, 8))
    assert counters["stats"]["unique_graphs"] == 1

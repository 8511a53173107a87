"""What a causal network leaves out, and that a default one is as it always was."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.conftest import SMALL, randomise, small_config
from waveflow import VocoderConfig
from waveflow.nets import MelEncoder, PaddedConv1d, SeparableWaveNet, WaveNet

STEPS, MIDDLE = 41, 20


def conditioner(network):
    """A network of one channel a step, its context held still."""

    def make(causal):
        net = network(1, 1, 1, channels=4, layers=3, causal=causal)
        return net, lambda x: net(x, torch.zeros(1, 1, STEPS))

    return make


def encoder(causal):
    net = MelEncoder(1, channels=4, layers=2, causal=causal)
    return net, net


NETWORKS = {
    "wavenet": (conditioner(WaveNet), 1 + 2 + 4),
    "separable wavenet": (conditioner(SeparableWaveNet), 3),
    "mel encoder": (encoder, 3),
}
"""Every network that may be causal, and the steps it sees on either side by default."""


def touched(function):
    """First and last input step that the output at MIDDLE depends on, relative to it."""
    x = torch.randn(1, 1, STEPS, requires_grad=True)
    function(x)[0, 0, MIDDLE].backward()
    steps = x.grad[0, 0].nonzero().flatten() - MIDDLE
    return int(steps.min()), int(steps.max())


@pytest.mark.parametrize(("make", "reach"), NETWORKS.values(), ids=NETWORKS)
def test_a_causal_network_sees_as_many_steps_and_none_after_its_own(make, reach):
    for causal, expected in ((False, (-reach, reach)), (True, (-2 * reach, 0))):
        net, function = make(causal)
        randomise(net)
        assert touched(function) == expected
        with torch.no_grad():  # the way of synthesis
            x = torch.randn(1, 1, STEPS)
            later = x.clone()
            later[..., MIDDLE + 1 :] += 1
            same = torch.equal(function(x)[..., : MIDDLE + 1], function(later)[..., : MIDDLE + 1])
        assert same == causal


@pytest.mark.parametrize(("make", "reach"), NETWORKS.values(), ids=NETWORKS)
def test_weights_have_the_same_names_and_shapes(make, reach):
    two_sided, causal = (make(causal)[0].state_dict() for causal in (False, True))
    assert {name: tensor.shape for name, tensor in two_sided.items()} == {
        name: tensor.shape for name, tensor in causal.items()
    }


@pytest.mark.parametrize(("kernel_size", "dilation", "groups"), [(3, 1, 1), (3, 4, 1), (5, 2, 6)])
def test_by_default_it_is_the_convolution_of_torch(kernel_size, dilation, groups, double):
    padded = PaddedConv1d(6, 6, kernel_size, dilation=dilation, groups=groups)
    padding = dilation * (kernel_size - 1) // 2
    plain = nn.Conv1d(6, 6, kernel_size, dilation=dilation, groups=groups, padding=padding)
    plain.load_state_dict(padded.state_dict())
    x = torch.randn(2, 6, 30)
    assert (padded.past, padded.future) == (padding, padding)
    assert torch.equal(padded(x), plain(x))

    causal = PaddedConv1d(6, 6, kernel_size, dilation=dilation, groups=groups, causal=True)
    causal.load_state_dict(padded.state_dict())
    assert (causal.past, causal.future) == (2 * padding, 0)
    assert torch.allclose(causal(x)[..., 2 * padding :], plain(x)[..., padding:-padding])
    assert torch.allclose(
        causal(x)[..., : 2 * padding],  # as behind silence
        plain(nn.functional.pad(x, (2 * padding, 0)))[..., padding : 3 * padding],
    )


def test_sides_are_seen_behind_weight_norm_too():
    wavenet = WaveNet(2, 2, 1, channels=4, layers=3, causal=True)
    assert [layer.past for layer in wavenet.dilated] == [2, 4, 8]
    assert [layer.future for layer in wavenet.dilated] == [0, 0, 0]
    separable = SeparableWaveNet(2, 2, 1, channels=4, layers=1, kernel_size=5)
    assert (separable.depthwise[0].past, separable.depthwise[0].future) == (2, 2)
    assert type(separable.depthwise[0]) is type(wavenet.dilated[0])  # one program for a compiler
    assert "past=2, future=0" in repr(wavenet)


def test_sides_that_cannot_be_equal_are_refused():
    with pytest.raises(ValueError, match=r"to be even, unless causal; got 1 \* 3"):
        PaddedConv1d(1, 1, 4)
    assert PaddedConv1d(1, 1, 4, causal=True)(torch.zeros(1, 1, 9)).shape == (1, 1, 9)


def small_model(name, causal):
    """Context network and bijection of a small model, off their initial state."""
    config = small_config(name)
    model = replace(config.model, causal=causal)
    context_net, bijection = model.build(config.mel)
    return config.mel, randomise(context_net.double()), randomise(bijection.double(), 0.05).eval()


def seen_ahead(name, causal):
    """Samples before a change of mel and latent that synthesis changes already."""
    mel_config, context_net, bijection = small_model(name, causal)
    mel = torch.randn(1, mel_config.n_mels, 24) - 5
    with torch.no_grad():
        z = torch.randn_like(bijection(torch.randn(1, 24 * 16), context_net(mel))[0])
        other_mel, other_z = mel.clone(), z.clone()
        other_mel[..., 16:] += 1
        other_z[..., z.shape[-1] * 16 // 24 :] += 1
        audio = bijection.inverse(z, context_net(mel))
        other_audio = bijection.inverse(other_z, context_net(other_mel))
    return 16 * 16 - int((audio != other_audio)[0].nonzero().min())


@pytest.mark.parametrize("name", SMALL)
def test_a_causal_model_looks_ahead_by_its_lapped_transforms_alone(name, double):
    overlap = (
        3 * 16 // 2 if name in ("lapflow", "source_filter") else 0
    )  # half of a whitening block behind one
    assert seen_ahead(name, causal=True) == overlap
    assert seen_ahead(name, causal=False) > overlap + 2 * 16  # the encoder's frames, and more


def test_a_config_without_the_key_is_of_both_sides():
    config = small_config("lapflow")
    values = config.to_dict()
    assert values["model"].pop("causal") is False
    assert VocoderConfig.from_dict(values) == config
    values["model"]["causal"] = True
    assert VocoderConfig.from_dict(values).model == replace(config.model, causal=True)

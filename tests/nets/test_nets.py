"""What couplings and vocoders rely on in the networks."""

import pytest
import torch

from tests.conftest import randomise
from waveflow.nets import Bounded, MelEncoder, SeparableWaveNet, TransposedUpsampler, WaveNet

conditioners = pytest.mark.parametrize("conditioner", [WaveNet, SeparableWaveNet])


@conditioners
def test_a_conditioner_starts_at_zero(conditioner):
    net = conditioner(3, 4, 5, channels=6, layers=2)
    assert (net(torch.randn(2, 3, 8), torch.randn(2, 5, 8)) == 0).all()


@conditioners
def test_a_slow_context_is_repeated(conditioner, double):
    net = randomise(conditioner(3, 4, 5, channels=6, layers=2).double())
    x, slow = torch.randn(2, 3, 12), torch.randn(2, 5, 4)
    assert torch.allclose(net(x, slow), net(x, slow.repeat_interleave(3, dim=-1)))


@pytest.mark.parametrize(("layers", "cycle", "reach"), [(3, None, 7), (4, 2, 6), (1, None, 1)])
def test_the_receptive_field_is_that_of_the_dilations(layers, cycle, reach):
    net = randomise(WaveNet(1, 1, 1, channels=4, layers=layers, cycle=cycle))
    x = torch.zeros(1, 1, 41, requires_grad=True)
    net(x, torch.zeros(1, 1, 41))[0, 0, 20].backward()
    touched = x.grad[0, 0].nonzero().flatten()
    assert (touched.min(), touched.max()) == (20 - reach, 20 + reach)


def test_a_separable_wavenet_has_no_dilations():
    net = randomise(SeparableWaveNet(1, 1, 1, channels=4, layers=3, kernel_size=5))
    x = torch.zeros(1, 1, 41, requires_grad=True)
    net(x, torch.zeros(1, 1, 41))[0, 0, 20].backward()
    touched = x.grad[0, 0].nonzero().flatten()
    assert (touched.min(), touched.max()) == (14, 26)


def test_an_even_kernel_is_refused():
    for net in (WaveNet, SeparableWaveNet):
        with pytest.raises(ValueError, match=f"{net.__name__}: .* odd kernel_size; got 4"):
            net(1, 1, 1, channels=2, layers=1, kernel_size=4)
    with pytest.raises(ValueError, match="odd kernel_size; got 2"):
        MelEncoder(8, channels=4, layers=1, kernel_size=2)


def test_the_upsampler_puts_samples_of_a_band_side_by_side(double):
    upsampler = TransposedUpsampler(2, hop_length=8, groups=4, kernel_size=16).double()
    mel = torch.randn(1, 2, 5)
    context = upsampler(mel)
    assert context.shape == (1, 8, 10)
    samples = upsampler.convolution(mel)[..., :40]
    for band in range(2):
        for offset in range(4):
            assert torch.equal(context[0, 4 * band + offset], samples[0, band, offset::4])


def test_a_hop_that_groups_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="multiple of groups; got 10 and 4"):
        TransposedUpsampler(2, hop_length=10, groups=4)


def test_the_mel_encoder_keeps_the_frame_rate():
    assert MelEncoder(8, channels=4, layers=2)(torch.zeros(2, 8, 7)).shape == (2, 4, 7)


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler
def test_the_flows_of_a_model_share_what_is_compiled():
    """One program for each size and gradient mode; torch gives up compiling after eight."""
    torch._dynamo.reset()
    programs = []

    def compiler(graph, inputs):
        programs.append(graph)
        return graph.forward

    nets = [
        WaveNet(size, 2 * size, 5, channels=4, layers=2) for size in (4, 3, 2) for _ in range(4)
    ]
    for _ in range(2):
        for net in nets:
            net.compile(backend=compiler, dynamic=False)
            x, context = torch.randn(2, net.start.in_channels, 8), torch.randn(2, 5, 4)
            expected = net.forward(x, context)
            with torch.no_grad():
                assert torch.equal(net(x, context), expected)
            net(x, context).sum().backward()
    assert len(programs) == 6


def test_bounds_are_those_of_training_alone():
    """Unknown sounds are read as the nearest known ones; known ones as they are."""
    encoder = MelEncoder(4, channels=6, layers=2, with_mel=True)
    known, unknown = torch.randn(2, 4, 9) - 5, 30 * torch.randn(2, 4, 9)
    untrained = encoder.eval()(unknown)
    assert torch.equal(encoder.train()(known), encoder.eval()(known))
    seen = encoder(known)[:, :6]
    assert encoder(unknown)[:, :6].max() <= seen.max() + 1e-6
    assert untrained[:, :6].max() > 2 * seen.max()
    assert encoder(unknown).shape == (2, encoder.out_channels, 9)


def test_ranges_of_training_bound_what_comes_later():
    bounded = Bounded(2)
    assert torch.equal(bounded.eval()(1e9 * torch.ones(1, 2, 3)), 1e9 * torch.ones(1, 2, 3))
    x = torch.randn(4, 2, 50)
    assert bounded.train()(x) is x
    bounded.eval()
    assert torch.equal(bounded(x), x)
    low, high = x.amin((0, 2)), x.amax((0, 2))
    assert torch.equal(bounded(10 * x).amin((0, 2)), low)
    assert torch.equal(bounded(10 * x).amax((0, 2)), high)


def test_ranges_of_early_weights_are_forgotten():
    bounded = Bounded(1).train()
    bounded(torch.tensor([[[-100.0, 100.0]]]))
    for _ in range(5000):
        bounded(torch.tensor([[[-1.0, 2.0]]]))
    low, high = bounded.limits()
    assert -1.01 < low < -0.99
    assert 1.99 < high < 2.01

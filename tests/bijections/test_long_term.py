"""What the long-term predictor promises beyond the laws."""

import pytest
import torch

from tests.conftest import randomise
from waveflow.bijections import LongTermPredictor
from waveflow.bijections.long_term import initial_parameters, pitch_lags, sharpened
from waveflow.nets import BlockNetwork

SIZES = {
    "usual": {"lags": pitch_lags(22050, 60, 420), "block": 128, "kernel_size": 9},
    "one piece a block": {"lags": range(20, 31), "block": 8, "kernel_size": 3, "window": 16},
    "one sample a piece": {"lags": range(3, 6), "block": 4, "kernel_size": 5, "window": 3},
    "block beyond memory": {"lags": range(5, 8), "block": 64, "kernel_size": 1, "window": 6},
}


def predictor_of(*, lags, kernel_size, **sizes):
    bias = initial_parameters(lags, kernel_size)
    network = randomise(BlockNetwork(3, bias=bias, channels=4, blocks=2), 0.1)
    return LongTermPredictor(network, lags=lags, kernel_size=kernel_size, **sizes)


def drawn(predictor, blocks=14):
    """Excitation, parameters and a past that is not silent, of two examples."""
    z = torch.randn(2, blocks * predictor.block)
    with torch.no_grad():
        parameters = predictor.read(z, 2 * torch.randn(2, 3, blocks // 2))
    return z, parameters, torch.randn(2, predictor.memory)


def loops_and_torch(predictor):
    """The two ways of ``synthesise``; the one in torch is taken where gradients are recorded."""
    z, parameters, past = drawn(predictor)
    by_loops = predictor.synthesise(z, parameters, past)
    in_torch = predictor.synthesise(z, parameters.requires_grad_(), past)
    assert in_torch.requires_grad
    assert not by_loops.requires_grad
    return by_loops, in_torch.detach()


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_compiled_loops_equal_torch_in_float32(sizes):
    by_loops, in_torch = loops_and_torch(predictor_of(**sizes))
    assert by_loops.dtype == torch.float32
    assert (by_loops - in_torch).abs().max() < 1e-5 * in_torch.abs().max().clamp_min(1)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_compiled_loops_equal_torch_in_float64(sizes, double):
    by_loops, in_torch = loops_and_torch(predictor_of(**sizes))
    assert by_loops.dtype == torch.float64
    assert (by_loops - in_torch).abs().max() < 1e-12 * in_torch.abs().max().clamp_min(1)


@pytest.mark.parametrize("recorded", [False, True], ids=["loops", "torch"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_two_calls_that_carry_the_past_equal_one(sizes, recorded, double):
    predictor = predictor_of(**sizes)
    z, parameters, past = drawn(predictor)
    parameters.requires_grad_(recorded)
    whole = predictor.synthesise(z, parameters, past)
    first = predictor.synthesise(z[:, : 4 * predictor.block], parameters[:, :4], past)
    past = torch.cat([past, first], dim=1)[:, -predictor.memory :]
    rest = predictor.synthesise(z[:, 4 * predictor.block :], parameters[:, 4:], past)
    assert (torch.cat([first, rest], dim=1) - whole).abs().max() < 1e-12 * whole.abs().max()


def test_one_block_leads_to_the_past_of_the_next(double):
    predictor = predictor_of(**SIZES["one piece a block"])
    z, parameters, past = drawn(predictor, blocks=2)
    later, block = predictor.advance(past, z[:, :8], parameters[:, 0])
    assert torch.equal(later, torch.cat([past, block], dim=1)[:, 8:])


def test_the_sum_of_coefficients_stays_below_one(double):
    """So the synthesis filter is stable, for any parameters and any past."""
    predictor = predictor_of(**SIZES["usual"])
    count = len(initial_parameters(predictor.lags, 9))
    weights, kernel, _ = predictor.coefficients(
        4 * torch.randn(50, count), 2 * torch.rand(50, len(predictor.lags)) - 1
    )
    assert torch.allclose(weights.sum(-1), torch.ones(50))
    for row, taps in zip(weights, kernel, strict=True):
        coefficients = torch.conv1d(row[None, None], taps.flip(0)[None, None], padding=8)
        assert coefficients.numel() == predictor.longest - predictor.shortest + 1
        assert coefficients.abs().sum() < 1


def test_lags_of_a_range_of_pitch():
    assert pitch_lags(22050, 60, 420) == range(52, 368)
    assert pitch_lags(16000, 50, 400) == range(40, 321)
    lags = pitch_lags(24000, 70, 450)
    assert 24000 / lags[0] >= 450 > 24000 / (lags[0] + 1)
    assert 24000 / lags[-1] >= 70 > 24000 / (lags[-1] + 1)


def test_sizes_that_do_not_fit_are_refused():
    network = BlockNetwork(3, bias=[0.0], channels=4, blocks=1)
    with pytest.raises(ValueError, match="expected an odd kernel_size; got 4"):
        LongTermPredictor(network, lags=range(20, 30), kernel_size=4)
    with pytest.raises(ValueError, match=r"each longer than 4 samples; got range\(4, 9\)"):
        LongTermPredictor(network, lags=range(4, 9), kernel_size=9)
    with pytest.raises(ValueError, match=r"expected two lags or more.*; got range\(20, 21\)"):
        LongTermPredictor(network, lags=range(20, 21))


def test_samples_that_do_not_fit_the_context_are_refused():
    predictor, context = predictor_of(**SIZES["one piece a block"]), torch.randn(2, 3, 4)
    with pytest.raises(ValueError, match="expected a context; got None"):
        predictor(torch.randn(2, 64))
    for shape in ((2, 56), (2, 72), (2, 1, 64)):
        x = torch.randn(*shape)
        for way in (predictor, predictor.inverse, predictor.local_log_det):
            with pytest.raises(ValueError, match=r"expected \(batch, 64\) samples for 8 blocks; g"):
                way(x, context)


def test_sharpened_predictors_decide_between_lags():
    """Half the entropy and less at a factor of 4; other parameters, and the original, stay."""
    predictor = predictor_of(**SIZES["usual"])
    x = torch.randn(1, 4 * predictor.block)
    context = torch.randn(1, 3, x.shape[1] // predictor.block // predictor.network.blocks)
    sharp = sharpened(predictor, 4.0)

    def weights(predictor):
        parameters = predictor.read(x, context)
        return predictor.coefficients(parameters, predictor.correlate(x))[0]

    def entropy(weights):
        return -(weights * weights.log()).sum(-1).mean()

    before = weights(predictor)
    assert torch.allclose(weights(sharp), torch.softmax(4 * before.log(), -1), atol=1e-5)
    assert entropy(weights(sharp)) < entropy(before)
    assert torch.equal(weights(predictor), before)
    assert sharpened(predictor, 1.0) is predictor

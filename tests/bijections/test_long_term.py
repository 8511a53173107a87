"""What the long-term predictor promises beyond the laws."""

import pytest
import torch
from torch.nn import functional

from tests.conftest import randomise, small_config
from tests.pretend_cuda import pretend_cuda
from waveflow import Vocoder
from waveflow.bijections import LongTermPredictor
from waveflow.bijections.long_term import (
    LOW_PASS_TAPS,
    _filtered,
    initial_parameters,
    pitch_lags,
    sharpened,
)
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


def in_torch(predictor, z, parameters, past):
    """``synthesise`` by the formulas, block after block."""
    done = []
    for block, own in zip(z.split(predictor.block, dim=1), parameters.unbind(1), strict=True):
        past, audio = advance(predictor, past, block, own)
        done.append(audio)
    return torch.cat(done, dim=1)


def advance(predictor, past, z, parameters):
    """The samples before the next block, (batch, memory), and those of a block."""
    memory = past.shape[1]
    low = _filtered(past[:, -predictor.correlated - LOW_PASS_TAPS + 1 :], predictor.low_pass)
    correlation = predictor._correlation(low)
    weights, kernel, log_gain = predictor.coefficients(parameters, correlation)
    reach = kernel.shape[1] - 1
    padded = functional.pad(weights, (reach, reach)).unfold(1, reach + 1, 1)
    taps = (padded @ kernel.flip(1)[..., None]).flip(1)
    for excitation in (z * log_gain.exp()).split(predictor.shortest, dim=1):
        start = past.shape[1] - predictor.longest
        seen = past[:, start : past.shape[1] - predictor.shortest + excitation.shape[1]]
        piece = excitation + (seen.unfold(1, taps.shape[1], 1) @ taps)[..., 0]
        past = torch.cat([past, piece], dim=1)
    return past[:, z.shape[1] :], past[:, memory:]


def loops_and_torch(predictor):
    """The two ways of ``synthesise``."""
    given = drawn(predictor)
    return predictor.synthesise(*given), in_torch(predictor, *given)


def gradients(synthesise, given):
    """Of a loss that weighs every sample otherwise, with respect to z, parameters and past."""
    given = [x.detach().requires_grad_() for x in given]
    audio = synthesise(*given)
    assert audio.requires_grad
    loss = (audio * torch.linspace(-1, 2, audio.numel()).view_as(audio).cos()).sum()
    return torch.autograd.grad(loss + audio.square().sum() / 2, given)


def overwriting(synthesise):
    """``synthesise`` of copies that are set to zero at once, as is the audio that it returned."""

    def changed(*given):
        copies = [x.clone() for x in given]
        audio = synthesise(*copies)
        kept = audio.clone()
        with torch.no_grad():
            for x in (*copies, audio):
                x.zero_()
        return kept

    return changed


def difference(gradients, others):
    """The largest, relative to the largest gradient of its kind."""
    pairs = zip(gradients, others, strict=True)
    return max((one - other).abs().max() / other.abs().max() for one, other in pairs)


def constant_correlation(predictor, monkeypatch):
    """Have autograd take the correlation for a constant."""
    correlation = predictor._correlation
    monkeypatch.setattr(predictor, "_correlation", lambda low: correlation(low).detach())


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


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_two_calls_that_carry_the_past_equal_one(sizes, recorded, double):
    predictor = predictor_of(**sizes)
    z, parameters, past = drawn(predictor)
    parameters.requires_grad_(recorded)

    def in_two(z, parameters, past):
        first = predictor.synthesise(z[:, : 4 * predictor.block], parameters[:, :4], past)
        past = torch.cat([past, first], dim=1)[:, -predictor.memory :]
        rest = predictor.synthesise(z[:, 4 * predictor.block :], parameters[:, 4:], past)
        return torch.cat([first, rest], dim=1)

    whole, twice = predictor.synthesise(z, parameters, past), in_two(z, parameters, past)
    assert whole.requires_grad == recorded
    assert (twice - whole).abs().max() < 1e-12 * whole.abs().max()
    if recorded:
        given = z, parameters, past
        assert difference(gradients(in_two, given), gradients(predictor.synthesise, given)) < 1e-10


@pytest.mark.parametrize("through", [True, False], ids=["through", "constant correlation"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_gradients_are_those_of_torch(sizes, through, double, monkeypatch):
    predictor = predictor_of(**sizes)
    z, parameters, past = drawn(predictor)
    parameters = parameters + 0.3 * torch.randn_like(parameters)  # kernels of any size
    given = z, parameters, past
    predictor.through_correlation = through
    by_loops = gradients(predictor.synthesise, given)
    if not through:
        constant_correlation(predictor, monkeypatch)
    expected = gradients(lambda *given: in_torch(predictor, *given), given)
    assert difference(by_loops, expected) < 1e-9
    assert all((x != 0).any(-1).all() for x in expected)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_gradients_in_float32_are_close_to_those_in_float64(sizes):
    predictor = predictor_of(**sizes)
    given = drawn(predictor)
    single = gradients(predictor.synthesise, given)
    assert all(x.dtype == torch.float32 for x in single)
    double = gradients(predictor.synthesise, [x.double() for x in given])
    assert all(x.dtype == torch.float64 for x in double)
    assert difference(single, double) < 1e-3


@pytest.mark.parametrize("scale", [0.3, 3.0], ids=["small kernels", "large kernels"])
@pytest.mark.parametrize(
    "sizes",
    [
        {"lags": range(10, 16), "block": 16, "kernel_size": 3, "window": 32},
        {"lags": range(4, 7), "block": 19, "kernel_size": 5, "window": 7},
    ],
    ids=["pieces", "odd sizes"],
)
def test_gradients_are_finite_differences(sizes, scale, double):
    predictor = predictor_of(**sizes)
    z, parameters, past = drawn(predictor, blocks=4)
    kernels = slice(len(predictor.lags), len(predictor.lags) + predictor.kernel_size)
    parameters[..., kernels] = (
        scale / predictor.kernel_size * (0.5 + torch.rand(2, 4, kernels.stop - kernels.start))
    )
    given = [x.requires_grad_() for x in (z, parameters, past)]
    assert torch.autograd.gradcheck(predictor.synthesise, given, atol=1e-6, fast_mode=True)


def test_gradients_of_kernels_at_the_start_are_those_of_torch(double):
    """Their sum is 1, where it begins to be bounded, and most of their taps are zero."""
    predictor = predictor_of(**SIZES["usual"])
    z, parameters, past = drawn(predictor, blocks=4)
    start = torch.tensor(initial_parameters(predictor.lags, 9)).expand_as(parameters)
    by_loops = gradients(predictor.synthesise, (z, start, past))
    expected = gradients(lambda *given: in_torch(predictor, *given), (z, start, past))
    assert difference(by_loops, expected) < 1e-9


def test_gradients_behind_silence_are_those_of_torch(double):
    predictor = predictor_of(**SIZES["one piece a block"])
    z, parameters, past = drawn(predictor)
    given = torch.cat([0 * z[:, :40], z[:, 40:]], dim=1), parameters, 0 * past
    by_loops = gradients(predictor.synthesise, given)
    expected = gradients(lambda *given: in_torch(predictor, *given), given)
    assert difference(by_loops, expected) < 1e-9


def apart(x):
    """The same values, not one after another."""
    return x.repeat_interleave(2, dim=-1)[..., ::2]


UNUSUAL = {
    "one example": lambda z, parameters, past: (z[:1], parameters[:1], past[:1]),
    "no example": lambda z, parameters, past: (z[:0], parameters[:0], past[:0]),
    "no blocks": lambda z, parameters, past: (z[:, :0], parameters[:, :0], past),
    "views": lambda *given: tuple(map(apart, given)),
    "one past for all": lambda z, parameters, past: (z, parameters, past[:1].expand(2, -1)),
    "forty examples": lambda *given: tuple(x.repeat(20, *[1] * (x.dim() - 1)) for x in given),
}


@pytest.mark.parametrize("change", UNUSUAL.values(), ids=UNUSUAL)
def test_gradients_of_unusual_inputs(change, double):
    predictor = predictor_of(**SIZES["one piece a block"])
    given = change(*drawn(predictor))
    seen = [x.detach().requires_grad_() for x in given]
    audio = predictor.synthesise(*seen)
    assert audio.shape == given[0].shape
    seen_gradients = torch.autograd.grad(audio.sum(), seen)
    for x, gradient in zip(seen, seen_gradients, strict=True):
        assert gradient.shape == x.shape
    if audio.numel():
        expected = torch.autograd.grad(in_torch(predictor, *seen).sum(), seen)
        assert difference(seen_gradients, expected) < 1e-9
    with torch.inference_mode():
        assert torch.equal(predictor.synthesise(*given), audio)


def test_gradients_of_tensors_of_inference_mode_and_of_mixed_types():
    predictor = predictor_of(**SIZES["one piece a block"])
    with torch.inference_mode():
        z, parameters, past = drawn(predictor)
    parameters = parameters.double().requires_grad_()
    audio = predictor.synthesise(z, parameters, past)
    assert audio.dtype == torch.float32
    audio.sum().backward()
    assert parameters.grad.dtype == torch.float64
    assert (parameters.grad != 0).any()


def test_inputs_and_outputs_may_change_before_the_gradient_is_asked_for(double):
    predictor = predictor_of(**SIZES["one piece a block"])
    given = drawn(predictor)
    expected = gradients(predictor.synthesise, given)

    changed = overwriting(predictor.synthesise)
    assert difference(gradients(changed, given), expected) == 0


@pytest.mark.parametrize("batch", [2, 40])
def test_gradients_wait_for_a_gpu_once_each_way(batch, double):
    predictor = predictor_of(**SIZES["one piece a block"])
    given = [x[:1].expand(batch, *x.shape[1:]) for x in drawn(predictor)]
    expected = gradients(predictor.synthesise, given)
    with pretend_cuda() as gpu:
        there = [x.detach().to("cuda").requires_grad_() for x in given]
        gpu.clear()
        audio = predictor.synthesise(*there)
        assert audio.device.type == "cuda"
        assert sum(gpu.waits.values()) == 1
        weights = torch.linspace(-1, 2, audio.numel()).cos().to("cuda").view(audio.shape)
        loss = (audio * weights).sum() + audio.square().sum() / 2
        gpu.clear()
        found = torch.autograd.grad(loss, there)
        assert all(x.device.type == "cuda" for x in found)
        assert sum(gpu.waits.values()) == 1
        found = [x.cpu() for x in found]
    assert difference(found, expected) < 1e-12


def test_a_gradient_of_the_gradient_is_refused(double):
    predictor = predictor_of(**SIZES["one piece a block"])
    given = [x.requires_grad_() for x in drawn(predictor)]
    audio = predictor.synthesise(*given).square().sum()
    (gradient,) = torch.autograd.grad(audio, given[:1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("through", [True, False], ids=["through", "constant correlation"])
def test_gradients_of_decoded_audio_are_those_of_torch(through, monkeypatch):
    vocoder = Vocoder(small_config("source_filter")).double()
    randomise(vocoder, 0.1)
    (predictor,) = (x for x in vocoder.modules() if isinstance(x, LongTermPredictor))
    predictor.through_correlation = through
    mel = (torch.randn(2, 4, 5).double() - 5).requires_grad_()
    z = (
        torch.randn(vocoder.encode(torch.zeros(2, 80).double(), mel).shape)
        .double()
        .requires_grad_()
    )
    of = [z, mel, *vocoder.parameters()]

    def found():
        loss = vocoder.decode(z, mel).square().sum()
        return torch.autograd.grad(loss, of, materialize_grads=True)

    by_loops = found()
    monkeypatch.setattr(predictor, "synthesise", lambda *given: in_torch(predictor, *given))
    if not through:
        constant_correlation(predictor, monkeypatch)
    for one, other in zip(by_loops, found(), strict=True):
        assert (one - other).abs().max() <= 1e-9 * other.abs().max()
    assert sum(bool((x != 0).any()) for x in by_loops) > len(of) / 2


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

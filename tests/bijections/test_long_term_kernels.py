"""The GPU kernels of long-term synthesis: on a GPU, or by Triton's interpreter on the CPU."""

import os

import pytest
import torch

from tests.bijections.test_long_term import (
    SIZES,
    UNUSUAL,
    difference,
    drawn,
    gradients,
    overwriting,
)
from tests.bijections.test_long_term import predictor_of as on_cpu
from waveflow.bijections import long_term
from waveflow.bijections.long_term_kernels import Kernels, run_on
from waveflow.bijections.long_term_loops import Loops

REAL = bool(os.environ.get("WAVEFLOW_TEST_CUDA"))
DEVICE = "cuda" if REAL else "cpu"
FEW = {key: value for key, value in UNUSUAL.items() if REAL or key != "forty examples"}
"""The interpreter takes a second for an example."""


def predictor_of(**sizes):
    return on_cpu(**sizes).to(DEVICE)


@pytest.fixture
def both(monkeypatch):
    """``synthesise`` of a predictor by its kernels on ``DEVICE``, and by its loops on the CPU."""

    def by(recursion, device, predictor):
        def synthesise(*given):
            monkeypatch.setattr(long_term, "_recursion", lambda device: recursion)
            return predictor.synthesise(*(x.to(device) for x in given)).cpu()

        return synthesise

    return lambda predictor: (by(Kernels, DEVICE, predictor), by(Loops, "cpu", predictor))


def assert_equal(one, other, given, share=1e-10):
    """Two ways of ``synthesise`` give the same audio and the same gradients."""
    audio = []

    def kept(synthesise):
        def keeping(*given):
            audio.append(synthesise(*given))
            return audio[-1]

        return keeping

    slopes = [gradients(kept(synthesise), given) for synthesise in (one, other)]
    assert difference(audio[:1], audio[1:]) < share / 100
    assert difference(*slopes) < share


@pytest.mark.parametrize("through", [True, False], ids=["through", "constant correlation"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_kernels_and_their_gradients_are_those_of_the_loops(sizes, through, both, double):
    predictor = predictor_of(**sizes)
    predictor.through_correlation = through
    z, parameters, past = drawn(on_cpu(**sizes), blocks=2)
    parameters = parameters + 0.3 * torch.randn_like(parameters)  # kernels of any size
    assert_equal(*both(predictor), (z, parameters, past))


def test_kernels_in_float32_are_close_to_the_loops_in_float64(both):
    by_kernels, by_loops = both(predictor_of(**SIZES["usual"]))
    given = drawn(on_cpu(**SIZES["usual"]), blocks=2)

    def in_double(*given):
        return by_loops(*(x.double() for x in given)).float()

    assert by_kernels(*given).dtype == torch.float32
    assert_equal(by_kernels, in_double, given, 1e-3)


@pytest.mark.parametrize("change", FEW.values(), ids=FEW)
def test_unusual_inputs(change, both, double):
    sizes = SIZES["one piece a block"]
    by_kernels, by_loops = both(predictor_of(**sizes))
    given = change(*drawn(on_cpu(**sizes), blocks=2))
    if given[0].numel():
        assert_equal(by_kernels, by_loops, given)
    else:
        assert by_kernels(*given).shape == given[0].shape


def test_gradients_of_kernels_at_the_start_are_those_of_the_loops(both, double):
    """Their sum is 1, where it begins to be bounded, and most of their taps are zero."""
    sizes = SIZES["one piece a block"]
    z, parameters, past = drawn(on_cpu(**sizes), blocks=2)
    start = long_term.initial_parameters(sizes["lags"], sizes["kernel_size"])
    given = z, torch.tensor(start).expand_as(parameters), past
    assert_equal(*both(predictor_of(**sizes)), given)


def test_inputs_may_change_before_the_gradient_is_asked_for(both, double):
    sizes = SIZES["one piece a block"]
    by_kernels, _ = both(predictor_of(**sizes))
    given = drawn(on_cpu(**sizes), blocks=2)
    expected = gradients(by_kernels, given)

    assert difference(gradients(overwriting(by_kernels), given), expected) == 0


def test_kernels_need_a_triton_that_works():
    if REAL:
        assert run_on(torch.device("cuda"))
        assert long_term._recursion(torch.device("cuda")) is Kernels
    else:
        with pytest.warns(
            UserWarning, match="long-term prediction runs on the CPU, because Triton"
        ):
            assert not run_on(torch.device("cpu"))
    assert long_term._recursion(torch.device("cpu")) is Loops

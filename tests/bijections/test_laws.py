"""The laws every bijection keeps, in float64, over every case and every model builder."""

import pytest
import torch

from tests.bijections.cases import CASES
from tests.conftest import SMALL, randomise, small_config

pytestmark = pytest.mark.usefixtures("double")


def build(name):
    """The bijection of a case or of a model, off its initial state, with data and context."""
    if name in CASES:
        constructor, shape, context_shape = CASES[name]
        bijection = randomise(constructor().double()).eval()
        context = None if context_shape is None else 0.5 * torch.randn(context_shape)
        return bijection, torch.randn(shape), context
    config = small_config(name)
    context_net, bijection = config.model.build(config.mel)
    mel = torch.randn(2, config.mel.n_mels, 3) - 5
    context = randomise(context_net.double())(mel).detach()
    return randomise(bijection.double(), 0.1).eval(), 0.3 * torch.randn(2, 48), context


@pytest.fixture(params=[*CASES, *SMALL])
def case(request):
    return build(request.param)


def jacobian(bijection, x, context, example):
    """d z / d x of one example, (size, size)."""
    alone = None if context is None else context[example : example + 1]

    def latent(flat):
        return bijection(flat.view(1, *x.shape[1:]), alone)[0].flatten()

    return torch.autograd.functional.jacobian(latent, x[example].flatten())


def test_round_trip(case):
    bijection, x, context = case
    z, _ = bijection(x, context)
    assert (bijection.inverse(z, context) - x).abs().max() <= 1e-9
    z = torch.randn(z.shape)
    assert (bijection(bijection.inverse(z, context), context)[0] - z).abs().max() <= 1e-9


def test_log_det_is_that_of_the_autograd_jacobian(case):
    bijection, x, context = case
    _, log_det = bijection(x, context)
    assert log_det.shape == (2,)
    for example in range(2):
        expected = torch.linalg.slogdet(jacobian(bijection, x, context, example)).logabsdet
        assert abs(log_det[example] - expected) <= 1e-8


def test_volume_preserving_says_so(case):
    bijection, x, context = case
    if bijection.volume_preserving:
        assert (bijection(x, context)[1] == 0).all()
    elif any(True for _ in bijection.parameters()) or context is not None:
        assert (bijection(x, context)[1] != 0).all()


def test_examples_do_not_touch(case):
    bijection, x, context = case
    z, log_det = bijection(x, context)
    alone = None if context is None else context[1:]
    z_alone, log_det_alone = bijection(x[1:], alone)
    assert torch.allclose(z_alone, z[1:], atol=1e-12)
    assert torch.allclose(log_det_alone, log_det[1:], atol=1e-12)


def test_gradients_reach_data_context_and_parameters(case):
    bijection, x, context = case
    inputs = [x.requires_grad_()] + ([] if context is None else [context.requires_grad_()])
    inputs += list(bijection.parameters())

    def loss():
        z, log_det = bijection(x, context)
        return z.square().sum() / 2 - log_det.sum()

    gradients = torch.autograd.grad(loss(), inputs)
    generator = torch.Generator().manual_seed(1)
    for tensor, gradient in zip(inputs, gradients, strict=True):
        direction = torch.randn(tensor.shape, generator=generator)
        step = 1e-6
        with torch.no_grad():
            tensor += step * direction
            above = loss()
            tensor -= 2 * step * direction
            below = loss()
            tensor += step * direction
        slope = (above - below) / (2 * step)
        assert torch.allclose((gradient * direction).sum(), slope, rtol=1e-4, atol=1e-5)


def test_state_dict_round_trip(case, request):
    bijection, x, context = case
    name = request.node.callspec.params["case"]
    torch.manual_seed(99)
    other, _, _ = build(name)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    other.load_state_dict(bijection.state_dict())
    assert torch.equal(other(x, context)[0], bijection(x, context)[0])


def test_log_det_is_float32_under_mixed_precision(case):
    bijection, x, context = case
    x, context = x.float(), None if context is None else context.float()
    with torch.autocast("cpu", torch.bfloat16):
        z, log_det = bijection.float()(x, context)
    assert log_det.dtype == torch.float32
    assert z.dtype == torch.float32

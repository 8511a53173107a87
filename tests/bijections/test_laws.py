"""The laws every bijection keeps, in float64, over every case and every model builder."""

import pytest
import torch

from tests.bijections.cases import CASES
from tests.conftest import SMALL, randomise, small_config
from waveflow.bijections import ActNorm, InvertibleConv1x1
from waveflow.bijections.base import require_shape

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


def longer(tensor, axis):
    """The same with one more step along an axis."""
    return torch.cat([tensor, tensor.narrow(axis, 0, 1)], axis)


DATA = {
    "fewer axes": lambda x: x[0],
    "more axes": lambda x: x[..., None],
    "more channels, or a part of a group": lambda x: longer(x, 1),
    "fewer channels, or a part of a group": lambda x: x[:, :-1],
}
CONTEXTS = {
    "none": lambda context, steps: None,
    "fewer axes": lambda context, steps: context[0],
    "more axes": lambda context, steps: context[..., None],
    "more channels": lambda context, steps: longer(context, 1),
    "fewer channels": lambda context, steps: context[:, :-1],
    "a smaller batch": lambda context, steps: context[:1],
    "a larger batch": lambda context, steps: longer(context, 0),
    "too long": lambda context, steps: context[..., :1].expand(-1, -1, steps + 1),
    "empty": lambda context, steps: context[..., :0],
}


def ways(bijection, x, context):
    """Both directions, each with what it takes."""
    return {bijection.forward: x, bijection.inverse: bijection(x, context)[0].detach()}.items()


@pytest.mark.parametrize("change", DATA)
def test_data_of_another_shape_are_refused(case, change):
    bijection, x, context = case
    for way, data in ways(bijection, x, context):
        with pytest.raises(ValueError, match=r"expected .*; got"):
            way(DATA[change](data), context)


@pytest.mark.parametrize("change", CONTEXTS)
def test_a_context_of_another_shape_is_refused(case, change):
    bijection, x, context = case
    if context is None:
        assert bijection.context_shape(x) is None
        return
    for way, data in ways(bijection, x, context):
        with pytest.raises(ValueError, match=r"expected .*; got"):
            way(data, CONTEXTS[change](context, x.shape[-1]))


def test_what_a_bijection_says_that_it_takes_fits(case):
    bijection, x, context = case
    z, _ = bijection(x, context)
    for data, shape in ((x, bijection.x_shape()), (z, bijection.z_shape())):
        if shape is not None:  # a long-term predictor learns it from the context
            require_shape(bijection, "data", data, shape)
            assert data.dim() == 2 or shape[1] in (data.shape[1], "channels")


@pytest.mark.parametrize(
    "name", ["chain", "coupling, slow context", "context affine", "early output"]
)
def test_compiled_bijections_take_any_batch(name):
    """Checks of sizes break no program in two, nor tie it to the sizes that it is made with."""
    bijection, x, context = build(name)
    for way, data in ways(bijection, x, context):
        torch._dynamo.reset()
        compiled = torch.compile(way, backend="eager", fullgraph=True, dynamic=True)
        for factor in (1, 3):
            inputs = [
                tensor.repeat(factor, *[1] * (tensor.dim() - 1)) for tensor in (data, context)
            ]
            for one, other in zip(compiled(*inputs), way(*inputs), strict=True):
                assert torch.allclose(one, other)


def test_traced_bijections_are_not_checked_while_sizes_are_recorded():
    bijection, x, _ = build("conv1x1")
    traced = torch.jit.trace(bijection, x)
    x = torch.randn(3, 4, 7)
    for one, other in zip(traced(x), bijection(x), strict=True):
        assert torch.allclose(one, other)


def test_a_subclass_may_hand_on_data_of_its_own_shape():
    class Pairs(InvertibleConv1x1):
        """Each half of the channels is mixed alike."""

        def x_shape(self):
            return "batch", 2 * len(self.weight), "steps"

        def forward(self, x, context=None):
            z, log_det = super().forward(x.unflatten(1, (2, -1)).flatten(0, 1))
            return z.view(x.shape), log_det.view(len(x), 2).sum(1)

    assert Pairs(3)(torch.randn(2, 6, 4))[0].shape == (2, 6, 4)
    with pytest.raises(ValueError, match=r"Pairs: expected x of shape \(batch, 6, steps\); got"):
        Pairs(3)(torch.randn(2, 3, 4))


def test_actnorm_is_not_set_from_data_that_it_refuses():
    actnorm = ActNorm(4)
    with pytest.raises(ValueError, match=r"ActNorm: expected x .*batch, 4, steps.*got \(2, 1, 5\)"):
        actnorm(torch.randn(2, 1, 5))
    assert not actnorm.initialized

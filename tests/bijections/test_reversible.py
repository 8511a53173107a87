"""The lean backward pass: the plain one's gradients, in memory that does not grow with depth."""

import gc
from functools import partial

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from tests.bijections.test_laws import build
from tests.conftest import SMALL
from waveflow import Vocoder
from waveflow.bijections import Chain, Coupling, Reversible
from waveflow.bijections.reversible import flatten
from waveflow.models import lapflow, waveglow
from waveflow.nets import WaveNet


def lean(chain):
    return Reversible(*chain.bijections).train(chain.training)


def gradients(bijection, x, context, *, precision=None):
    """Of the negative log-likelihood, with respect to data, context and parameters."""
    x, context = (tensor.detach().clone().requires_grad_() for tensor in (x, context))
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        z, log_det = bijection(x, context)
        loss = (z.square().sum() / 2 - log_det.sum()) / x.numel()
    return torch.autograd.grad(loss, [x, context, *bijection.parameters()])


def difference(one, other):
    """Largest relative difference of two lists of tensors."""
    return max(
        float((a - b).norm() / b.norm().clamp_min(1e-30)) for a, b in zip(one, other, strict=True)
    )


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", SMALL)
class Test_every_model:
    def test_has_the_same_values_and_names(self, name):
        chain, x, context = build(name)
        z, log_det = chain(x, context)
        lean_z, lean_log_det = lean(chain)(x, context)
        assert torch.allclose(lean_z, z, rtol=0, atol=1e-12)
        assert torch.allclose(lean_log_det, log_det, rtol=0, atol=1e-10)
        assert lean(chain).state_dict().keys() == chain.state_dict().keys()

    def test_has_the_same_gradients(self, name):
        chain, x, context = build(name)
        plain = gradients(chain, x, context)
        assert difference(gradients(lean(chain), x, context), plain) <= 1e-10  # 1e-6 is promised

    def test_is_taken_apart(self, name):
        chain, x, context = build(name)
        blocks = list(flatten(chain))
        assert not any(isinstance(block, Chain) for block in blocks)
        z, log_det = x, 0
        for block in blocks:
            z, step = block(z, context)
            log_det = log_det + step
        assert torch.allclose(z, chain(x, context)[0], rtol=0, atol=1e-12)
        assert torch.allclose(log_det, chain(x, context)[1], rtol=0, atol=1e-10)


@pytest.mark.usefixtures("double")
def test_backward_may_run_twice_and_frozen_parts_stay():
    chain, x, context = build("waveglow")
    frozen = next(m for m in chain.modules() if isinstance(m, Coupling)).requires_grad_(False)
    z, log_det = lean(chain)(x, context)
    loss = z.square().sum() / 2 - log_det.sum()
    trained = [p for p in chain.parameters() if p.requires_grad]
    first = torch.autograd.grad(loss, trained, retain_graph=True)
    second = torch.autograd.grad(loss, trained)
    assert difference(first, second) <= 1e-12
    assert len(trained) < len(list(chain.parameters()))
    assert all(p.grad is None for p in frozen.parameters())


@pytest.mark.usefixtures("double")
def test_a_parameter_changed_before_backward_is_noticed():
    chain, x, context = build("waveglow")
    z, log_det = lean(chain)(x, context)
    with torch.no_grad():
        next(chain.parameters()).add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        (z.sum() + log_det.sum()).backward()


@pytest.mark.usefixtures("double")
def test_second_derivatives_are_refused():
    chain, x, context = build("waveglow")
    z, _ = lean(chain)(x.requires_grad_(), context)
    (gradient,) = torch.autograd.grad(z.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.usefixtures("double")
def test_mixed_precision():
    chain, x, context = build("waveglow")
    chain, x, context = chain.float(), x.float(), context.float()
    exact = gradients(chain.double(), x.double(), context.double())
    chain.float()
    plain = gradients(chain, x, context, precision="bf16")
    rebuilt = gradients(lean(chain), x, context, precision="bf16")
    assert all(a.dtype == b.dtype for a, b in zip(plain, rebuilt, strict=True))
    exact, plain, rebuilt = (
        torch.cat([gradient.double().flatten() for gradient in some])
        for some in (exact, plain, rebuilt)
    )
    assert not torch.equal(plain.float(), exact.float())  # bfloat16 was in force
    assert difference([rebuilt], [exact]) <= 1.3 * difference([plain], [exact])


@pytest.mark.usefixtures("double")
def test_compiled_conditioners():
    torch._dynamo.reset()
    chain, x, context = build("lapflow")
    chain, x, context = chain.float(), x.float(), context.float()
    plain = gradients(chain, x, context)
    for block in chain.modules():
        if isinstance(block, Coupling):
            block.conditioner.compile(backend="aot_eager", dynamic=False)
    assert difference(gradients(lean(chain), x, context), plain) <= 1e-4


def peak(work):
    """Most bytes that the allocator held at a time during the second call of ``work``."""
    work()
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events = [e for e in profiler.profiler.kineto_results.events() if e.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest


def conditioner(layers):
    return partial(WaveNet, context_channels=16, channels=16, layers=layers)


DEEP = {
    "waveglow": lambda flows, layers: waveglow(
        conditioner(layers), groups=8, flows=flows, early_every=100, early_size=2
    ),
    "lapflow": lambda flows, layers: lapflow(
        conditioner(layers), whitening_groups=32, groups=8, flows=flows, context_channels=16
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", DEEP)
def test_memory_does_not_grow_with_depth(name):
    peaks = {}
    for flows in (6, 48):
        chain = DEEP[name](flows, layers=1)
        x = 0.1 * torch.randn(2, 4096)
        context = torch.randn(2, 16, 4096 // 32, requires_grad=True)
        for wrap in (chain, lean(chain)):
            for parameter in chain.parameters():
                parameter.grad = torch.zeros_like(parameter)

            def step(bijection=wrap, x=x, context=context):
                z, log_det = bijection(x, context)
                (z.square().sum() / 2 - log_det.sum()).backward()

            peaks[type(wrap), flows] = peak(step)
    assert peaks[Reversible, 48] <= 1.15 * peaks[Reversible, 6]
    assert peaks[Chain, 48] >= 6 * peaks[Chain, 6]
    assert peaks[Chain, 48] >= 20 * peaks[Reversible, 48]


def test_float32_gradients_of_a_trained_model_drift_no_more_than_rounding(ljspeech, speech):
    """Rebuilding 6 trained flows in float32 costs nothing against what rounding costs anyway."""
    vocoder = Vocoder(ljspeech.config)
    vocoder.load_state_dict(ljspeech.state_dict())
    chain = vocoder.flow.bijection
    context = vocoder.context_net(vocoder.mel(speech)).detach()
    plain = torch.cat([g.flatten() for g in gradients(chain, speech, context)])
    rebuilt = torch.cat([g.flatten() for g in gradients(lean(chain), speech, context)])
    exact = gradients(chain.double(), speech.double(), context.double())
    exact = torch.cat([g.flatten() for g in exact])
    rounding = difference([plain.double()], [exact])
    assert difference([rebuilt], [plain]) <= 1e-5
    assert difference([rebuilt.double()], [exact]) <= 1.1 * rounding + 1e-6


def test_float32_rebuilds_48_flows():
    chain = DEEP["waveglow"](48, layers=3)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in chain.named_parameters():
            if "end" in name:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    x, context = 0.1 * torch.randn(2, 8192), torch.randn(2, 16, 1024)
    rebuilt = gradients(lean(chain), x, context)
    plain = gradients(chain, x, context)
    assert (
        difference(
            [torch.cat([g.flatten() for g in rebuilt])], [torch.cat([g.flatten() for g in plain])]
        )
        <= 1e-4
    )

"""Densities are densities: they integrate to one."""

import math
from functools import partial

import pytest
import torch

from tests.conftest import randomise
from waveflow.bijections import Coupling, Squeeze
from waveflow.flow import Flow, Gaussian
from waveflow.models import glow, lapflow, nice, realnvp, source_filter, squeezewave, waveglow
from waveflow.nets import WaveNet


def conditioner(kept, parameters):
    return WaveNet(kept, parameters, 1, channels=8, layers=1, kernel_size=1)


BUILDERS = {
    "nice": partial(nice, groups=8, flows=3),
    "realnvp": partial(realnvp, groups=8, scales=2, couplings=2),
    "glow": partial(glow, groups=8, levels=2, flows=2),
    "waveglow": partial(waveglow, groups=8, flows=4, early_every=2, early_size=2),
    "squeezewave": partial(squeezewave, groups=8, flows=4, early_every=2, early_size=2),
    "lapflow": partial(lapflow, whitening_groups=8, groups=8, flows=3, context_channels=1),
    "source_filter": partial(
        source_filter,
        envelope=torch.zeros(8, 1),
        long_term=None,
        groups=8,
        flows=3,
        context_channels=1,
    ),
}


@pytest.mark.parametrize("name", BUILDERS)
def test_builders_ask_the_conditioner_for_every_network(name):
    made = []

    def recorded(kept, parameters):
        made.append(conditioner(kept, parameters))
        return made[-1]

    bijection = BUILDERS[name](recorded)
    couplings = [module for module in bijection.modules() if isinstance(module, Coupling)]
    assert {id(coupling.conditioner) for coupling in couplings} == set(map(id, made))
    x, context = torch.randn(2, 32), torch.randn(2, 1, 4)
    z, _ = bijection(x, context)
    assert z.shape == (2, 8, 4)
    assert torch.allclose(bijection.inverse(z, context), x, atol=1e-4)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "bijection",
    [
        lambda: nice(conditioner, groups=2, flows=4),
        lambda: realnvp(conditioner, groups=2, scales=1, couplings=2),
        lambda: glow(conditioner, groups=2, levels=1, flows=3),
    ],
    ids=["nice", "realnvp", "glow"],
)
def test_a_2d_density_integrates_to_one(bijection):
    flow = Flow(randomise(bijection().double(), 0.3).eval(), Gaussian())
    axis = torch.linspace(-20, 20, 641)
    points = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        log_prob = flow.log_prob(points, torch.zeros(len(points), 1, 1))
    area = (axis[1] - axis[0]) ** 2
    assert abs(log_prob.exp().sum() * area - 1) < 1e-3
    gaussian = Flow(Squeeze(2), Gaussian()).log_prob(points)
    assert (log_prob.exp() - gaussian.exp()).abs().max() > 0.01  # not the base left as it is


def test_gaussian_constant():
    assert Gaussian().log_prob(torch.zeros(1, 3)).item() == pytest.approx(
        -1.5 * math.log(2 * math.pi)
    )


def test_samples_follow_the_base_and_the_temperature():
    flow = Flow(Squeeze(4), Gaussian())
    generator = torch.Generator().manual_seed(3)
    audio = flow.sample((8, 4, 2000), temperature=0.5, generator=generator)
    assert audio.shape == (8, 8000)
    assert audio.std().item() == pytest.approx(0.5, rel=0.02)
    again = flow.sample((8, 4, 2000), temperature=0.5, generator=torch.Generator().manual_seed(3))
    assert torch.equal(audio, again)

"""The forms of a network say what it says: streams, constants, few operators and ONNX."""

import pytest
import torch
from torch import nn

import waveflow.nets
from tests.conftest import randomise
from tests.export.onnx_runtime import run_onnx
from waveflow.inference.constant_folding import constant, fold_constants, fused
from waveflow.nets import (
    BlockNetwork,
    Bounded,
    MelEncoder,
    PaddedConv1d,
    SeparableWaveNet,
    TransposedUpsampler,
    WaveNet,
)
from waveflow.streaming.rows import SharedBuffer

STEPS, CONTEXT = 12, 3
CONDITIONERS = {
    "WaveNet": lambda: WaveNet(2, 5, CONTEXT, channels=4, layers=3),
    "WaveNet, causal": lambda: WaveNet(2, 5, CONTEXT, channels=4, layers=2, causal=True),
    "WaveNet, cycle": lambda: WaveNet(2, 5, CONTEXT, channels=4, layers=3, kernel_size=5, cycle=2),
    "SeparableWaveNet": lambda: SeparableWaveNet(2, 5, CONTEXT, channels=4, layers=2),
    "SeparableWaveNet, causal": lambda: SeparableWaveNet(
        2, 5, CONTEXT, channels=4, layers=2, causal=True
    ),
}
"""Networks (x, context) -> parameters, of two channels of data."""
CONTEXT_NETWORKS = {
    "MelEncoder": lambda: MelEncoder(2, channels=4, layers=2),
    "MelEncoder, causal": lambda: MelEncoder(2, channels=4, layers=1, causal=True),
    "MelEncoder, with mel": lambda: MelEncoder(2, channels=4, layers=2, with_mel=True),
    "TransposedUpsampler": lambda: TransposedUpsampler(2, hop_length=8, groups=4, kernel_size=20),
    "TransposedUpsampler, short": lambda: TransposedUpsampler(
        2, hop_length=8, groups=2, kernel_size=8
    ),
}
"""Networks mel -> context, of two bands."""
PARTS = {BlockNetwork, Bounded, PaddedConv1d}
"""What is tested as a part of others."""


def built(make):
    net = randomise(make())
    if isinstance(net, MelEncoder):
        net(torch.randn(2, 2, STEPS))  # its bounds remember the range
    return net.eval()


def test_every_network_is_a_case():
    public = {getattr(waveflow.nets, name) for name in waveflow.nets.__all__}
    tested = {type(make()) for make in (*CONDITIONERS.values(), *CONTEXT_NETWORKS.values())}
    assert public == tested | PARTS, "a new network: give it a line in tests/nets/test_forms.py"


def pushed(stage, rows, context):
    """What comes of rows in pieces."""
    buffer, received, done = SharedBuffer(), 0, []
    push = stage.begin(buffer)
    buffer.push(context)
    for piece in rows.split([1, 4, 2, len(rows) - 7]):
        received += len(piece)
        done.append(push(piece, received == len(rows)))
        assert received == len(rows) or sum(map(len, done)) == stage.outputs_after(received)
    return torch.cat(done)


@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("name", CONDITIONERS)
def test_conditioners(name, ratio, double):
    net = built(CONDITIONERS[name])
    x, context = torch.randn(2, 2, STEPS), torch.randn(2, CONTEXT, STEPS // ratio)
    with torch.no_grad():
        expected = net(x, context)
        rows = pushed(net.stage(ratio), x[0].T, context[0].T)
        torch.testing.assert_close(rows, expected[0].T)
        for form in (constant, fused):
            torch.testing.assert_close(fold_constants(net, form)(x, context), expected)


@pytest.mark.parametrize("name", CONTEXT_NETWORKS)
def test_context_networks(name, double):
    net = built(CONTEXT_NETWORKS[name])
    mel = torch.randn(2, 2, STEPS)
    with torch.no_grad():
        expected = net(mel)
        assert expected.shape[1:] == (net.out_channels, net.rate * STEPS)
        stage = net.stage()
        assert stage.rate == net.rate
        torch.testing.assert_close(pushed(stage, mel[0].T, mel[0].T), expected[0].T)
        for form in (constant, fused):
            torch.testing.assert_close(fold_constants(net, form)(mel), expected)


class Together(nn.Module):
    """Many networks as the one module that is traced."""

    def __init__(self, networks):
        super().__init__()
        folded = [fold_constants(net, constant) for net in networks]
        self.networks = nn.ModuleList(folded).eval().float().requires_grad_(False)

    def forward(self, x, contexts, mel):
        conditioners, encoders = self.networks[: len(contexts)], self.networks[len(contexts) :]
        pairs = zip(conditioners, contexts, strict=True)
        return [*[net(x, context) for net, context in pairs], *[net(mel) for net in encoders]]


def test_all_are_traced_for_any_batch_and_length():
    """As a torch program, and in ONNX Runtime."""
    conditioners, encoders = (
        ["WaveNet", "SeparableWaveNet"],
        ["MelEncoder, with mel", "TransposedUpsampler"],
    )
    names = conditioners + encoders
    networks = [built((CONDITIONERS | CONTEXT_NETWORKS)[name]) for name in names]
    graph = Together(networks)

    def given(batch, frames):
        contexts = [torch.randn(batch, CONTEXT, frames) for _ in conditioners]
        return torch.randn(batch, 2, 3 * frames), contexts, torch.randn(batch, 2, frames)

    free = {0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC}
    shapes = free, [free] * len(conditioners), free
    with torch.no_grad():
        program = torch.export.export(graph, given(2, 5), dynamic_shapes=shapes)
        x, contexts, mel = other = given(3, 7)
        expected = graph(*other)
        actual = {"torch": program.module()(*other)}
    actual["onnx"] = run_onnx(program, [x, *contexts, mel], len(expected))
    for form, results in actual.items():
        for name, one, wanted in zip(names, results, expected, strict=True):
            assert (one - wanted).abs().max() <= 1e-5, (form, name)

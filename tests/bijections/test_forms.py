"""The forms of a bijection say what it says: streams, local likelihood, constants, few operators,
torch programs and ONNX, over every case.
"""

import random

import onnxruntime
import pytest
import torch
from torch import nn

import waveflow.bijections
from tests.bijections.cases import CASES
from tests.bijections.test_laws import build
from waveflow.bijections import Bijection, Elementwise, LongTermPredictor
from waveflow.export.bijections import Context, inverse
from waveflow.export.builder import OnnxBuilder
from waveflow.export.coupling import Data
from waveflow.inference.constant_folding import constant, fold_constants, fused
from waveflow.streaming.place import Place
from waveflow.streaming.rows import SequentialStage, SharedBuffer


@pytest.fixture(params=CASES)
def case(request):
    return build(request.param)


def place_of(x, z, context, *, start):
    """Where rows of ``start``, which is x or z, stand: if neither is audio, a step is a sample."""
    samples = max(x.shape[-1], z.shape[-1])
    frames = (z if context is None else context).shape[-1]
    return Place(samples // start.shape[-1], samples // frames, z)


def rows_of(tensor):
    """(1, channels, steps) -> (steps, channels), (1, samples) -> (samples,)."""
    return tensor[0].T if tensor.dim() == 3 else tensor[0]


def pushed(stages, rows, context, sizes):
    """What comes of rows in pieces of the given sizes, the last of which ends the signal."""
    buffer = SharedBuffer()
    push, received, done = SequentialStage(stages).begin(buffer), 0, []
    buffer.push(rows.new_zeros(1, 1) if context is None else rows_of(context))
    for piece in rows.split(sizes):
        received += len(piece)
        done.append(push(piece, received == len(rows)))
        ready = SequentialStage(stages).outputs_after(received)
        assert received == len(rows) or sum(map(len, done)) == ready
    return torch.cat(done)


def cuts(total):
    chooser, sizes = random.Random(total), []
    while sum(sizes) < total:
        sizes.append(min(chooser.choice([1, 2, 3, 7]), total - sum(sizes)))
    return sizes


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("direction", ["stages", "forward_stages"])
def test_stages_are_the_bijection(case, direction):
    """Whole and in pieces, and they lead to where the other side stands."""
    bijection, x, context = case
    x, context = x[:1], None if context is None else context[:1]
    z = bijection(x, context)[0].detach()
    start, end = (z, x) if direction == "stages" else (x, z)
    place = place_of(x, z, context, start=start)
    if direction == "forward_stages" and isinstance(bijection, LongTermPredictor):
        with pytest.raises(TypeError, match=r"LongTermPredictor, run forward: expected a method"):
            bijection.forward_stages(place)
        return
    with torch.inference_mode():
        stages, end_place = getattr(bijection, direction)(place)
        assert end_place == place_of(x, z, context, start=end)
        rows = rows_of(start)
        for sizes in ([len(rows)], cuts(len(rows))):
            actual = pushed(stages, rows, context, sizes)
            assert (actual - rows_of(end)).abs().max() <= 1e-9


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("form", [constant, fused])
def test_folded_forms_are_the_bijection(case, form):
    bijection, x, context = case
    form = fold_constants(bijection, form)
    with torch.no_grad():
        z, log_det = bijection(x, context)
        assert (form.inverse(z.clone(), context) - x).abs().max() <= 1e-9
        for actual, expected in zip(form(x.clone(), context), (z, log_det), strict=True):
            assert (actual - expected).abs().max() <= 1e-8


class Backwards(nn.Module):
    """The inverse as the module that is traced."""

    def __init__(self, bijection):
        super().__init__()
        self.bijection = fold_constants(bijection, constant).eval().float().requires_grad_(False)

    def forward(self, z, context):
        return self.bijection.inverse(z, context)


def test_every_case_is_traced_for_any_batch(case):
    bijection, x, context = case
    bijection, x = bijection.float(), x.float()
    context = None if context is None else context.float()
    with torch.no_grad():
        z = bijection(x, context)[0]
        free = {0: torch.export.Dim.DYNAMIC}
        shapes = free, None if context is None else free
        program = torch.export.export(Backwards(bijection), (z, context), dynamic_shapes=shapes)
        alone = None if context is None else context.repeat(2, 1, 1)
        again = program.module()(z.repeat(2, *[1] * (z.dim() - 1)), alone)
    assert (again[: len(x)] - x).abs().max() <= 1e-4


def test_every_case_has_an_onnx_form(case, request):
    """In float32; a new bijection has it if its constant form is one that is known there."""
    bijection, x, context = case
    bijection, x = bijection.float(), x.float()
    context = None if context is None else context.float()
    z = bijection(x, context)[0].detach()
    place = place_of(x, z, context, start=z)
    builder = OnnxBuilder()
    channels = z.shape[1] if z.dim() == 3 else 0
    free = ["batch", *z.shape[1:2] * (z.dim() - 2), "steps"]
    latent = Data(builder.input("z", free), channels, place.step)
    given = {"z": z.numpy()}
    seen = Context("", place.context_row)
    if context is not None:
        given["context"] = context.numpy()
        seen = Context(
            builder.input("context", ["batch", context.shape[1], "rows"]), place.context_row
        )
    plain = fold_constants(bijection, constant).eval().float()
    if request.node.callspec.params["case"] in ("inverse", "reversible"):
        with pytest.raises(ValueError, match=r"no ONNX form of Inverse\(Coupling\)"):
            inverse(plain, builder, latent, seen)
        return
    data = inverse(plain, builder, latent, seen)
    dims = ["batch", *x.shape[1:2] * (x.dim() - 2), "samples"]
    model = builder.model(outputs={data.value: ("x", dims)}, metadata={})
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (actual,) = session.run(None, given)
    assert (torch.from_numpy(actual) - x).abs().max() <= 1e-4


def test_every_bijection_is_a_case():
    public = {getattr(waveflow.bijections, name) for name in waveflow.bijections.__all__}
    bijections = {kind for kind in public if issubclass(kind, Bijection)} - {Bijection, Elementwise}
    covered = {type(make()) for make, _, _ in CASES.values()}
    assert bijections <= covered, "a new bijection: give it a line in tests/bijections/cases.py"

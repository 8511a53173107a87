"""The forms of a bijection say what it says: streams, local likelihood, constants, few operators,
torch programs and ONNX, over every case.
"""

import random

import pytest
import torch
from torch import nn

import waveflow.bijections
from tests.bijections.cases import CASES
from tests.bijections.test_laws import build
from tests.export.onnx_runtime import run_onnx
from waveflow.bijections import Bijection, Coupling, Elementwise, LongTermPredictor
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
    """The inverses of many bijections as the one module that is traced."""

    def __init__(self, bijections):
        super().__init__()
        folded = [fold_constants(bijection, constant) for bijection in bijections]
        self.bijections = nn.ModuleList(folded).eval().float().requires_grad_(False)

    def forward(self, *given):
        latents, contexts = given[: len(self.bijections)], given[len(self.bijections) :]
        triples = zip(self.bijections, latents, contexts, strict=True)
        return [bijection.inverse(z, context) for bijection, z, context in triples]


def every_kind():
    """The first cases, by name, that have every class of bijections, partitions and inner maps."""
    cases, seen = {}, set()
    for name in CASES:
        case = build(name)
        parts = [part for part in case[0].modules() if isinstance(part, Bijection)]
        kinds = {type(part) for part in parts}
        kinds |= {type(part.partition) for part in parts if isinstance(part, Coupling)}
        if not kinds <= seen:
            cases[name] = [part if part is None else part.float() for part in case]
        seen |= kinds
    return cases


def test_every_kind_is_traced_for_any_batch():
    """As a torch program, and in ONNX Runtime."""
    cases = every_kind()
    graph = Backwards([bijection for bijection, _, _ in cases.values()])
    free = {0: torch.export.Dim.DYNAMIC}
    with torch.no_grad():
        latents = [bijection(x, context)[0] for bijection, x, context in cases.values()]
        given = (*latents, *[context for _, _, context in cases.values()])
        shapes = (tuple(one if one is None else free for one in given),)
        program = torch.export.export(graph, given, dynamic_shapes=shapes)
        twice = [one if one is None else one.repeat(2, *[1] * (one.dim() - 1)) for one in given]
        results = {"torch": program.module()(*twice)}
    results["onnx"] = run_onnx(program, [one for one in twice if one is not None], len(cases))
    for form, audios in results.items():
        for (name, (_, x, _)), again in zip(cases.items(), audios, strict=True):
            for part in again.split(len(x)):
                assert (part - x).abs().max() <= 1e-4, (form, name)


def test_every_bijection_is_a_case():
    public = {getattr(waveflow.bijections, name) for name in waveflow.bijections.__all__}
    bijections = {kind for kind in public if issubclass(kind, Bijection)} - {Bijection, Elementwise}
    covered = {type(make()) for make, _, _ in CASES.values()}
    assert bijections <= covered, "a new bijection: give it a line in tests/bijections/cases.py"

"""A vocoder says the same whatever mode, default, precision or compiler it is called in."""

import ast
import copy
from pathlib import Path

import pytest
import torch

import waveflow
from tests.conftest import CLIPS, SMALL, randomise, small_config
from waveflow import LogMel, MelConfig, Vocoder
from waveflow.audio import MelConsistency, read_audio
from waveflow.bijections import LongTermPredictor
from waveflow.evaluation import log_mel_distance, noise_copy, stft_distance
from waveflow.evaluation.local_likelihood import local_log_prob
from waveflow.export.onnx import export_torch
from waveflow.inference.denoiser import Denoiser
from waveflow.interop.adapters import AsHiFiGAN
from waveflow.latents import interpolate
from waveflow.noise import positional_noise

HALVES = [torch.float16, torch.bfloat16]


@pytest.fixture(params=SMALL)
def small(request):
    """A small vocoder of every model, which synthesises with two iterations, the second low."""
    config = small_config(request.param).to_dict()
    config["synthesis"] = {"consistency": 2, "full_band": 1}
    return randomise(Vocoder(waveflow.VocoderConfig.from_dict(config)), 0.05).eval()


@pytest.fixture
def mel(small):
    return (torch.randn(2, small.config.mel.n_mels, 9) - 6).clamp(-9, -4)


@pytest.fixture
def audio(mel):
    return 0.1 * torch.randn(2, 16 * mel.shape[-1])


def streamed(vocoder, mel):
    return torch.cat(list(vocoder.stream(mel[0].split(4, dim=1), seed=0)))


def adapted(vocoder, mel):
    return AsHiFiGAN(vocoder)(mel)[:, 0]


def tensors(module):
    return [*module.parameters(), *module.buffers()]


def near(one, other, tolerance=1e-5):
    return one.dtype == other.dtype and (one - other).abs().max() <= tolerance


# inference mode


def loaded(vocoder, folder):
    vocoder.save_pretrained(folder)
    return Vocoder.from_pretrained(folder)


def made(vocoder, folder):
    other = Vocoder(vocoder.config).eval()
    other.load_state_dict(vocoder.state_dict())
    return other


def assigned(vocoder, folder):
    other = Vocoder(vocoder.config).eval()
    state = {name: tensor.clone() for name, tensor in vocoder.state_dict().items()}
    other.load_state_dict(state, assign=True)
    return other


IN_INFERENCE_MODE = {
    "loaded": loaded,
    "made": made,
    "assigned": assigned,
    "copied": lambda vocoder, folder: copy.deepcopy(vocoder),
    "moved": lambda vocoder, folder: vocoder.to("cpu"),
    "cast": lambda vocoder, folder: vocoder.double().float(),
    "copied and cast": lambda vocoder, folder: copy.deepcopy(vocoder).double().float(),
    "part cast": lambda vocoder, folder: (vocoder.flow.double().float(), vocoder)[1],
    "in a module": lambda vocoder, folder: torch.nn.Sequential(vocoder).double().float()[0],
}


@pytest.mark.parametrize(
    ("small", "way"),
    [
        (name, way)
        for way in IN_INFERENCE_MODE
        for name in SMALL
        if way in ("assigned", "copied and cast") or name in ("waveglow", "source_filter")
    ],
    indirect=["small"],
)
def test_a_vocoder_of_inference_mode_speaks_there_and_later(small, mel, way, tmp_path):
    expected = small(mel, seed=0)
    with torch.inference_mode():
        vocoder = IN_INFERENCE_MODE[way](small, tmp_path)
        assert near(vocoder(mel, seed=0), expected)
        assert near(streamed(vocoder, mel), expected[0])
    assert near(vocoder(mel, seed=0), expected)
    assert near(streamed(vocoder, mel), expected[0])


@pytest.mark.parametrize("way", ["loaded", "made", "moved", "cast"])
def test_a_vocoder_of_inference_mode_is_differentiable_later(small, audio, way, tmp_path):
    with torch.inference_mode():
        vocoder = IN_INFERENCE_MODE[way](small, tmp_path)
        denoiser = Denoiser(torch.zeros(17), small.config.mel).double().float()
    audio.requires_grad_()
    vocoder.log_prob(audio).sum().backward()
    assert audio.grad.isfinite().all()
    assert all(not tensor.is_inference() for tensor in [*tensors(vocoder), *tensors(denoiser)])


def test_weights_of_inference_mode_are_watched(small, mel, tmp_path):
    with torch.inference_mode():
        vocoder = assigned(small, tmp_path)
        before, engine = vocoder(mel, seed=0), vocoder.engine()
        assert vocoder.engine() is engine
        for weight in vocoder.context_net.parameters():
            weight.mul_(2)
        assert vocoder.engine() is not engine
        assert not torch.equal(vocoder(mel, seed=0), before)


def test_a_stream_may_leave_inference_mode(small, mel):
    expected = small(mel, seed=0)[0]
    with torch.inference_mode():
        stream = small.stream(mel[0].split(4, dim=1), seed=0)
        pieces = [next(stream)]
    assert near(torch.cat([*pieces, *stream]), expected)


# autocast


def spoken(vocoder, mel):
    return vocoder(mel, seed=0)


@pytest.mark.parametrize(
    ("small", "dtype", "call"),
    [
        (name, HALVES[(number + place) % 2], call)
        for number, name in enumerate(SMALL)
        for place, call in enumerate([spoken, adapted, streamed])
    ],
    indirect=["small"],
)
def test_autocast_changes_no_sound(small, mel, dtype, call):
    expected = call(copy.deepcopy(small), mel)
    with torch.autocast("cpu", dtype):
        assert torch.equal(call(small, mel), expected)
        assert call(small, mel.to(dtype)).dtype == torch.float32


def test_each_step_of_a_stream_is_out_of_autocast(small, mel):
    expected = small(mel, seed=0)[0]
    stream, pieces = small.stream(mel[0].split(2, dim=1), seed=0), []
    for number in range(100):
        with torch.autocast("cpu", torch.bfloat16, enabled=number % 2 == 1):
            piece = next(stream, None)
        if piece is None:
            break
        pieces.append(piece)
    assert near(torch.cat(pieces), expected)


def test_autocast_leaves_what_stands_beside_the_vocoder(small, mel, audio, tmp_path):
    with torch.no_grad():
        expected = [
            Denoiser(torch.full((17,), 0.01), small.config.mel)(audio),
            noise_copy(small, mel, small.config.synthesis),
            small.mel(audio),
        ]
        with torch.autocast("cpu", torch.bfloat16):
            denoiser = Denoiser(torch.full((17,), 0.01), small.config.mel)
            found = [
                denoiser(audio),
                noise_copy(small, mel, small.config.synthesis),
                small.mel(audio),
            ]
            z = small.encode(audio)
            assert near(small.decode(z, small.mel(audio)), audio, 1e-4)
            assert small.look_ahead() == copy.deepcopy(small).look_ahead()
    assert all(map(torch.equal, found, expected))


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # of torch's own reader
def test_a_program_exported_under_autocast_is_in_float32(tmp_path):
    config = small_config("nice").to_dict()
    config["model"]["flows"] = 1
    vocoder = randomise(Vocoder(waveflow.VocoderConfig.from_dict(config)), 0.05).eval()
    mel = torch.full((1, 4, 9), -6.0)
    with torch.autocast("cpu", torch.bfloat16):
        export_torch(vocoder, tmp_path / "a.pt2")
    program = torch.export.load(tmp_path / "a.pt2").module()
    noise = positional_noise(0, 1, 144).float()
    assert near(program(mel, noise), vocoder(mel, seed=0))


# torch's defaults


@pytest.fixture(params=[torch.float64, *HALVES], ids=str)
def default_dtype(request):
    before = torch.get_default_dtype()
    yield request.param
    torch.set_default_dtype(before)


def test_a_default_type_changes_no_loaded_vocoder(small, mel, audio, default_dtype, tmp_path):
    expected = small(mel, seed=0)
    small.save_pretrained(tmp_path)
    torch.set_default_dtype(default_dtype)
    vocoder = Vocoder.from_pretrained(tmp_path)
    kinds = {each.dtype for each in tensors(vocoder) if each.is_floating_point()}
    assert kinds == {torch.float32}
    assert torch.equal(vocoder(mel, seed=0), expected)
    assert torch.equal(small(mel, seed=0), expected)
    assert near(vocoder.decode(vocoder.encode(audio), vocoder.mel(audio)), audio, 1e-4)
    assert Denoiser(torch.zeros(17, dtype=torch.float32), small.config.mel)(audio).equal(audio)


def test_a_new_vocoder_is_of_the_default_type(small, mel, default_dtype):
    torch.set_default_dtype(default_dtype)
    vocoder = Vocoder(small.config).eval()
    assert {weight.dtype for weight in vocoder.parameters()} == {default_dtype}
    assert vocoder(mel, seed=0).isfinite().all()


def test_a_default_type_changes_no_audio(default_dtype):
    expected, _ = read_audio(CLIPS / "LJ001-0003.flac")
    distances = [log_mel_distance, stft_distance]
    before = [distance(expected, expected / 2, 22050) for distance in distances]
    mel = LogMel(MelConfig())(expected[None])
    torch.set_default_dtype(default_dtype)
    audio, _ = read_audio(CLIPS / "LJ001-0003.flac")
    assert audio.dtype == torch.float32
    assert torch.equal(audio, expected)
    assert [distance(audio, audio / 2, 22050) for distance in distances] == before
    assert (LogMel(MelConfig())(expected[None]) - mel).abs().max() < 1e-3


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_a_default_device_splits_no_vocoder(small, mel, audio, device, tmp_path):
    expected = small(mel, seed=0)
    small.save_pretrained(tmp_path)
    with torch.device(device):
        vocoder = Vocoder.from_pretrained(tmp_path)
        fresh = Vocoder(small.config)
        assert {tensor.device.type for tensor in tensors(vocoder)} == {"cpu"}
        assert {tensor.device.type for tensor in tensors(fresh)} == {device}
        for each in (vocoder, small):
            assert torch.equal(each(mel, seed=0), expected)
        assert near(streamed(vocoder, mel), expected[0])
        assert vocoder(mel).shape == expected.shape
        assert near(vocoder.decode(vocoder.encode(audio), vocoder.mel(audio)), audio, 1e-4)
        assert vocoder.look_ahead() == small.look_ahead()
        denoiser = Denoiser.of(vocoder, seconds=0.1, takes=1)
        assert denoiser(expected).device.type == "cpu"
        assert interpolate(audio, audio * (1 + 1e-6), 0.5).device.type == "cpu"
        assert local_log_prob(vocoder, audio).nats.device.type == "cpu"
        assert read_audio(CLIPS / "LJ001-0003.flac")[0].device.type == "cpu"


MAKERS = {"tensor", "as_tensor", "arange", "randint", "randperm", "rfftfreq"}
OF_FLOATS = {"zeros", "ones", "empty", "full", "rand", "randn", "eye", "linspace", "hann_window"}
WEIGHTS = {"nets", "bijections", "flow.py", "training", "vocoder.py"}
"""Where weights are made, as torch's modules make theirs, and moved afterwards."""


def unnamed(path):
    """Calls that make tensors without saying on which device, or of which type."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name, given = node.func.attr, {keyword.arg for keyword in node.keywords}
        asked = (
            {"device"} if name in MAKERS else {"device", "dtype"} if name in OF_FLOATS else set()
        )
        if ast.unparse(node.func).startswith("torch.") and asked - given:
            yield f"{path.name}:{node.lineno}: {ast.unparse(node)}"


def test_type_and_device_are_named_wherever_tensors_are_made():
    package = Path(waveflow.__file__).parent
    paths = [p for p in package.rglob("*.py") if p.relative_to(package).parts[0] not in WEIGHTS]
    assert [call for path in paths for call in unnamed(path)] == []


# half weights


@pytest.mark.parametrize("dtype", HALVES)
def test_half_weights_speak(small, mel, audio, dtype):
    """What half weights say is what the same numbers say in float32."""
    half = copy.deepcopy(small).to(dtype)
    exact = copy.deepcopy(half).float()
    given = mel.to(dtype)
    expected = exact(given.float(), seed=0)
    assert {weight.dtype for weight in half.parameters()} == {dtype}
    assert near(half(given, seed=0), expected)
    assert near(half(given.float(), seed=0), expected)
    assert near(streamed(half, given), expected[0])
    assert near(adapted(half, given), expected)
    assert near(half.mel(audio.to(dtype)), small.mel(audio.to(dtype).float()))
    assert near(half.log_prob(audio), exact.log_prob(audio), 1e-3)
    assert near(half.decode(half.encode(audio), half.mel(audio)), audio, 1e-4)
    assert near(local_log_prob(half, audio).nats, local_log_prob(exact, audio).nats, 1e-3)
    denoiser = Denoiser.of(half, seconds=0.1, takes=1).to(dtype)
    assert denoiser(expected).isfinite().all()
    assert denoiser(expected.to(dtype)).dtype == dtype


def test_half_weights_get_gradients(small, audio):
    half = copy.deepcopy(small).bfloat16()
    half.log_prob(audio).sum().backward()
    for weight, other in zip(half.parameters(), small.parameters(), strict=True):
        assert weight.grad.dtype == torch.bfloat16
        assert other.grad is None


@pytest.mark.parametrize("dtype", HALVES)
def test_tables_are_not_rounded(small, dtype):
    modules = [small, LogMel(small.config.mel), MelConsistency(LogMel(small.config.mel))]
    for module in modules:
        other = copy.deepcopy(module).to(dtype)
        names = [name for name, _ in module.named_buffers() if name not in module.state_dict()]
        tables, others = dict(module.named_buffers()), dict(other.named_buffers())
        assert names
        assert all(torch.equal(tables[name], others[name]) for name in names)
    predictors = [part for part in small.modules() if isinstance(part, LongTermPredictor)]
    assert all(part.half().low_pass.dtype == torch.float32 for part in predictors)
    assert LogMel(small.config.mel).double().half().filters.dtype == torch.float32


@pytest.mark.parametrize("name", ["ljspeech-nano", "ljspeech", "ljspeech-hq"])
def test_bundled_vocoders_speak_with_half_weights(name, speech):
    vocoder = Vocoder.from_pretrained(name)
    mel = vocoder.mel(speech)[..., :40]
    expected = vocoder(mel, seed=0, consistency=3)
    half = vocoder.half()(mel.half(), seed=0, consistency=3)
    assert (half - expected).square().mean() < 0.02 * expected.square().mean()


# torch.compile


def test_compiled_vocoders_speak(small, mel):
    expected = small(mel, seed=0)
    compiled = torch.compile(small, backend="eager")
    assert torch.equal(compiled(mel, seed=0), expected)
    assert torch.equal(torch.compile(AsHiFiGAN(small), backend="eager")(mel)[:, 0], expected)
    small.compile(backend="eager")
    assert torch.equal(small(mel, seed=0), expected)


def test_a_function_around_a_vocoder_is_compiled():
    vocoder = randomise(Vocoder(small_config("lapflow")), 0.05).eval()
    mel = torch.full((1, 4, 9), -6.0)
    function = torch.compile(lambda mel: 2 * streamed(vocoder, mel - 1), backend="eager")
    assert torch.equal(function(mel + 1), 2 * streamed(vocoder, mel))

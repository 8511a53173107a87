"""Everything on a GPU: a pretended one, or with ``WAVEFLOW_TEST_CUDA=1`` the one that is there."""

import copy
import json
import os
import subprocess
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import CLIPS, MEL, ROOT, SMALL, randomise, small_config
from tests.pretend_cuda import CUDA, pretend_cuda
from tests.warm import WARM_PYTHON
from waveflow import Vocoder
from waveflow.audio import LogMel, MelConfig, MelConsistency, read_audio
from waveflow.bijections import (
    ActNorm,
    Affine,
    Chain,
    ContextAffine,
    Coupling,
    Inverse,
    InvertibleConv1x1,
    LappedTransform,
    PLUConv1x1,
    Scale,
)
from waveflow.cli import main
from waveflow.evaluation.local_likelihood import local_log_prob
from waveflow.inference.constant_folding import fold_constants, fused
from waveflow.inference.denoiser import Denoiser
from waveflow.inference.engine import Engine
from waveflow.inference.whole_consistency import few_operators
from waveflow.nets import WaveNet
from waveflow.nets.bounded import Bounded
from waveflow.precision import exact_convolutions
from waveflow.training.callbacks import StopCallback
from waveflow.training.config import TrainingConfig
from waveflow.training.module import LikelihoodTraining
from waveflow.training.run import train

REAL = bool(os.environ.get("WAVEFLOW_TEST_CUDA"))
PRETENDED = pytest.mark.skipif(REAL, reason="a GPU that is there does not count")
FRAMES, HOP = 16, MEL["hop_length"]
CENTRED = {"center": True, "pad_mode": "constant"}


@pytest.fixture
def gpu():
    """A GPU, and what it was asked to do if it is a pretended one."""
    with nullcontext() if REAL else pretend_cuda() as counts:
        yield counts


def speechlike(vocoder, batch=2):
    """Audio and its mel, on the CPU."""
    generator = torch.Generator().manual_seed(3)
    audio = 0.3 * torch.randn(batch, FRAMES * HOP, generator=generator)
    return audio, vocoder.mel(audio)[..., :FRAMES]


def small(name, **mel):
    config = small_config(name)
    config = replace(config, mel=replace(config.mel, **mel))
    return randomise(Vocoder(config), scale=0.05).eval()


def synthesis(vocoder, audio, mel):
    """What there is to synthesis, by name."""
    options = {"temperature": 0.5, "consistency": 2, "seed": 1}
    lengths = torch.tensor([FRAMES, FRAMES - 5])
    stream = {"temperature": 0.5, "consistency": 2, "seed": 1}
    pieces = list(vocoder.stream(mel[0].split(7, dim=1), **stream))
    vocoder(mel)  # of any seed
    device = audio.device.type
    with torch.autocast(device, torch.bfloat16):
        encoded = vocoder.encode(audio, mel)
    assert encoded.isfinite().all()
    denoiser = Denoiser.of(vocoder, seconds=0.05, takes=1)
    z = vocoder.encode(audio)
    with torch.no_grad():
        quick = vocoder.encode(audio)
    return {
        "whole": vocoder(mel, **options),
        "padded": vocoder(mel, lengths=lengths.to(device), **options),
        "in chunks": vocoder(mel, chunk=5, **options),
        "stream": torch.cat(pieces),
        "latent": z,
        "latent without gradients": quick,
        "decoded": vocoder.decode(z, vocoder.mel(audio)[..., :FRAMES]),
        "log_prob": vocoder.log_prob(audio),
        "local log_prob": local_log_prob(vocoder, audio).nats,
        "consistency": vocoder._consistency(audio, mel, 3, 1),
        "denoised": denoiser(audio, strength=0.5),
        "denoised stream": torch.cat(list(denoiser.stream(audio[0].split(50), strength=0.5))),
    }


@pytest.mark.parametrize(
    ("name", "mel"),
    [*((name, {}) for name in SMALL), ("source_filter", CENTRED)],  # edges are not the model's
    ids=lambda value: "centred" if value == CENTRED else value or "own edges",
)
def test_synthesis_is_that_of_the_cpu(name, mel, gpu):
    vocoder = small(name, **mel)
    audio, log_mel = speechlike(vocoder)
    expected = synthesis(vocoder, audio, log_mel)
    vocoder.to("cuda")
    assert vocoder(log_mel, seed=0).device.type == "cuda"  # of a mel that is not there, too
    found = synthesis(vocoder, audio.to("cuda"), log_mel.to("cuda"))
    for what, value in expected.items():
        assert found[what].device.type == "cuda", what
        scale = value.abs().max().item()
        torch.testing.assert_close(
            found[what].detach().cpu(), value.detach(), rtol=1e-3, atol=1e-3 * scale, msg=what
        )


@pytest.mark.parametrize("differentiated", [False, True])
def test_what_is_encoded_is_decoded_by_convolutions_in_float32(differentiated, monkeypatch, gpu):
    """The switch is torch's own, for the whole process: it is as before afterwards."""
    vocoder = small("source_filter").to("cuda")
    audio, mel = (x.to("cuda") for x in speechlike(copy.deepcopy(vocoder).cpu()))
    switch = torch.backends.cudnn.conv
    before, seen = switch.fp32_precision, []
    plain = torch.nn.functional.conv1d

    def conv1d(*args, **options):
        seen.append(switch.fp32_precision)
        return plain(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "conv1d", conv1d)
    with torch.set_grad_enabled(differentiated):
        z = vocoder.encode(audio, mel)
        vocoder.decode(z, mel)
        vocoder.log_prob(audio)
    local_log_prob(vocoder, audio)
    assert set(seen) == {"ieee"}
    with pytest.raises(ValueError, match="finite"):
        vocoder.log_prob(audio * float("nan"))
    assert switch.fp32_precision == before
    with torch.no_grad(), exact_convolutions(CUDA), exact_convolutions(CUDA):
        pass
    assert switch.fp32_precision == before


@PRETENDED
@pytest.mark.parametrize("name", SMALL)
def test_gradients_change_no_operator(name, gpu):
    """What one operator encodes another, of other rounding, would not decode."""
    vocoder = small(name).to("cuda")
    audio, mel = (x.to("cuda") for x in speechlike(copy.deepcopy(vocoder).cpu()))
    products = []
    for differentiated in (False, True):
        gpu.clear()
        with torch.set_grad_enabled(differentiated):
            vocoder.encode(audio, mel)
        products.append({kind: gpu.kernels[kind] for kind in ("convolution", "baddbmm", "addmm")})
    assert products[0] == products[1]


def recipe(name, **compute):
    return TrainingConfig.from_dict(
        {
            "model": small_config(name).to_dict()["model"],
            "mel": MEL,
            "compute": compute,
            "optimizer": {"learning_rate": 1e-3},
        }
    )


def two_steps(config, device):
    """The weights after two steps of training on noise."""
    torch.manual_seed(0)
    module = LikelihoodTraining(config).to(device).train()
    optimizer = module.configure_optimizers()["optimizer"]
    audio, mel = speechlike(module.vocoder)
    audio, mel = audio.to(device), mel.to(device)
    mixed = config.compute.precision == "bf16-mixed"
    for _ in range(2):
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            nats = module._log_prob(audio, mel).sum() / audio.numel()
        (-nats).backward()
        torch.nn.utils.clip_grad_norm_(module.vocoder.parameters(), 1.0)
        optimizer.step()
        module.average.update_parameters(module.vocoder)
        optimizer.zero_grad()
    return {name: value.cpu() for name, value in module.state_dict().items()}


STEPS = [
    (name, reversible, ("32-true", "bf16-mixed")[(number + reversible) % 2])
    for number, name in enumerate(reversed(SMALL))
    for reversible in (False, True)
]
"""Every two of model, pass and precision meet."""


@pytest.mark.parametrize(("name", "reversible", "precision"), STEPS)
def test_training_steps_are_those_of_the_cpu(name, reversible, precision, gpu):
    config = recipe(name, reversible=reversible, precision=precision)
    expected, found = two_steps(config, "cpu"), two_steps(config, "cuda")
    # Adam's first steps are the signs of gradients: of small ones, rounding decides
    atol = 2e-5 if precision == "32-true" and not REAL else 5e-3
    for parameter, value in expected.items():
        torch.testing.assert_close(found[parameter], value, rtol=1e-3, atol=atol, msg=parameter)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Parts of a recording, a third of a second each."""
    folder = tmp_path_factory.mktemp("corpus")
    audio, rate = soundfile.read(CLIPS / "LJ001-0016.flac", frames=60_000, dtype="int16")
    for number, part in enumerate(audio.reshape(8, -1)):
        soundfile.write(folder / f"{number}.wav", part, rate)
    return folder


@pytest.fixture
def run_config():
    """The smoke recipe, smaller and shorter."""
    config = TrainingConfig.from_yaml(ROOT / "recipes" / "ljspeech" / "smoke.yaml")
    return replace(
        config,
        data=replace(
            config.data, validation_list=None, exclude_list=None, segment_frames=4, batch_size=2
        ),
        optimizer=replace(config.optimizer, max_steps=4, patience=2),
        run=replace(
            config.run,
            validate_every=2,
            checkpoint_every=2,
            log_every=1,
            audio_clips=0,
            loggers=("csv",),
        ),
    )


@pytest.mark.filterwarnings("ignore:.*pin_memory.*")
class Test_a_run:
    @pytest.mark.parametrize(
        "values",
        [
            {"run.audio_clips": 1, "run.loggers": ["tensorboard"]},
            {"compute.precision": "bf16-mixed", "data.on_device": True},
            {"compute.reversible": True, "compute.accumulate": 2},
        ],
        ids=["with sound and pictures", "bf16, on the device", "reversible, in parts"],
    )
    def test_learns_validates_and_resumes(self, run_config, corpus, tmp_path, values, gpu):
        config = run_config.override(values)
        first = replace(config, optimizer=replace(config.optimizer, max_steps=2))
        train(first, data=corpus, out=tmp_path / "run", device="cuda")
        outcome = train(config, data=corpus, out=tmp_path / "run", device="cuda", resume=True)
        assert outcome.steps == 4
        assert np.isfinite(outcome.nats_per_sample)
        assert Vocoder.from_pretrained(tmp_path / "run" / "model").config == config.vocoder

    def test_goes_back(self, run_config, corpus, tmp_path, monkeypatch, gpu):
        step = LikelihoodTraining.training_step

        def poisoned(self, batch, batch_index):
            return step(self, batch, batch_index) * (
                float("nan") if 2 <= self.trainer.global_step < 4 else 1.0
            )

        monkeypatch.setattr(LikelihoodTraining, "training_step", poisoned)
        config = run_config.override({"optimizer.max_steps": 6})
        with pytest.warns(UserWarning, match="returned to the weights of step 2"):
            outcome = train(config, data=corpus, out=tmp_path / "run", device="cuda")
        assert outcome.steps == 6

    def test_tunes_convolutions_in_training_steps_alone(
        self, run_config, corpus, tmp_path, monkeypatch, gpu
    ):
        seen = {"training_step": set(), "validation_step": set()}

        def watch(name):
            step = getattr(LikelihoodTraining, name)

            def watched(self, *args):
                seen[name].add(torch.backends.cudnn.benchmark)
                return step(self, *args)

            monkeypatch.setattr(LikelihoodTraining, name, watched)

        watch("training_step"), watch("validation_step")
        before = torch.backends.cudnn.benchmark
        config = run_config.override({"optimizer.max_steps": 3})
        train(config, data=corpus, out=tmp_path / "run", device="cuda")
        assert seen == {"training_step": {True}, "validation_step": {False}}
        assert torch.backends.cudnn.benchmark == before

    def test_says_that_it_compiles(self, run_config, corpus, tmp_path, monkeypatch, capfd, gpu):
        monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **options: None)
        values = {"optimizer.max_steps": 1, "compute.compile": "default"}
        train(run_config.override(values), data=corpus, out=tmp_path / "run", device="cuda")
        first, *_ = capfd.readouterr().err.splitlines()
        assert "compiling the conditioners (compute.compile: default)" in first

    @PRETENDED
    @pytest.mark.parametrize("reversible", [False, True], ids=["plain", "reversible"])
    @pytest.mark.parametrize("name", ["source_filter", "glow"])
    def test_waits_once_a_step(
        self, run_config, corpus, tmp_path, monkeypatch, name, reversible, gpu
    ):
        model = {**SMALL[name], "channels": 6, "layers": 2, "name": name}
        values = run_config.to_dict() | {"model": model}
        config = TrainingConfig.from_dict(values).override(
            {
                "compute.reversible": reversible,
                "optimizer.max_steps": 6,
                "run.log_every": 100,
                "run.checkpoint_every": 100,
                "run.validate_every": 100,
                "data.on_device": True,
            }
        )
        waits = []
        on_step = StopCallback.on_step

        def look(self, *args):
            waits.append(Counter(gpu.waits))
            gpu.clear()
            on_step(self, *args)

        monkeypatch.setattr(StopCallback, "on_step", look)
        train(config, data=corpus, out=tmp_path / "run", device="cuda")
        for seen in waits[2:-1]:
            synthesised = {line for line in seen if line.startswith("long_term_loops.py")}
            if reversible:  # the predictor's inverse, which the CPU makes for few examples
                seen = Counter({k: n for k, n in seen.items() if k not in synthesised})
            assert seen.total() <= 1, seen


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Half a second of speech."""
    path = tmp_path_factory.mktemp("clips") / "speech.wav"
    audio, rate = soundfile.read(CLIPS / "LJ001-0016.flac", frames=22050, dtype="int16")
    soundfile.write(path, audio[11025:], rate)
    return path


class Test_the_command_line:
    def test_scores(self, clip, model, capsys, gpu):
        assert main(["score", str(clip), "--model", model, "--device", "cuda"]) == 0
        on_gpu = json.loads(capsys.readouterr().out.splitlines()[0])
        assert main(["score", str(clip), "--model", model, "--device", "cpu"]) == 0
        on_cpu = json.loads(capsys.readouterr().out.splitlines()[0])
        assert on_gpu["nats_per_sample"] == pytest.approx(on_cpu["nats_per_sample"], abs=1e-3)

    @pytest.mark.parametrize("options", [[], ["--denoise", "0.1"]], ids=["plain", "denoised"])
    def test_vocodes_recordings_and_mels(self, clip, model, tmp_path, options, gpu):
        sounds = []
        assert main(["mel", str(clip), "-o", str(tmp_path / "x.npz"), "--model", model]) == 0
        for source in (clip, tmp_path / "x.npz"):
            for device in ("cuda", "cpu"):
                out = tmp_path / f"{source.stem}-{device}.wav"
                words = ["vocode", str(source), "-o", str(out), "--model", model, *options]
                words += ["--temperature", "0.1", "--device", device]
                assert main(words) == 0
                sounds.append(read_audio(out)[0])
        for on_gpu, on_cpu in (sounds[:2], sounds[2:]):
            assert (on_gpu - on_cpu).abs().max() <= 2e-3

    def test_evaluates(self, clip, model, tmp_path, gpu):
        words = ["evaluate", str(clip), "--model", model, "--device", "cuda", "--no-pitch"]
        words += ["--temperature", "0.1", "--page", str(tmp_path / "page")]
        assert main([*words, "-o", str(tmp_path / "out.json")]) == 0
        assert (tmp_path / "page" / "index.html").is_file()


def constant_in_the_inverse(monkeypatch):
    """Synthesis meets a table that stayed behind."""
    inverse = LappedTransform.inverse
    monkeypatch.setattr(
        LappedTransform, "inverse", lambda self, z, c=None: inverse(self, z, c) + ONES[:1]
    )


def constant_in_the_engine(monkeypatch):
    """Noise that nobody has moved."""
    begin = Engine.begin

    def stray(self, *args, **options):
        push = begin(self, *args, **options)
        return lambda mel, last: push(mel, last) * ONES[:1]

    monkeypatch.setattr(Engine, "begin", stray)


def constant_in_the_backward_pass(monkeypatch):
    """What a backward pass in Python makes anew, on the CPU."""

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * torch.full(gradient.shape[-1:], 2.0)

    forward = Coupling.forward

    def stray(self, x, context=None):
        return forward(self, Doubled.apply(x), context)

    monkeypatch.setattr(Coupling, "forward", stray)


def array_of_a_tensor_there(monkeypatch):
    """NumPy asked for memory that it cannot see."""
    matrix = InvertibleConv1x1.inverse
    monkeypatch.setattr(
        InvertibleConv1x1, "inverse", lambda self, z, c=None: (z.numpy(), matrix(self, z, c))[1]
    )


ONES = torch.ones(8)
PLANTED = [
    constant_in_the_inverse,
    constant_in_the_engine,
    constant_in_the_backward_pass,
    array_of_a_tensor_there,
]


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_planted_faults_are_caught(plant, monkeypatch, gpu):
    plant(monkeypatch)
    vocoder = small("lapflow").to("cuda")
    audio, mel = (x.to("cuda") for x in speechlike(vocoder.cpu()))
    vocoder.to("cuda")

    def use():
        vocoder(mel, seed=0)
        list(vocoder.stream([mel[0]], seed=0))
        with torch.no_grad():
            vocoder.decode(vocoder.encode(audio, mel), mel)
        vocoder.log_prob(audio, mel).sum().backward()

    with pytest.raises((RuntimeError, TypeError), match=r"(?i)same device|numpy"):
        use()


@PRETENDED
def test_few_kernels_and_waits_make_two_seconds(ljspeech, speech, gpu):
    """They may become fewer; more need a reason."""
    mel = ljspeech.mel(speech).to("cuda")
    vocoder = copy.deepcopy(ljspeech).to("cuda")
    vocoder(mel, seed=0)  # makes tables
    gpu.clear()
    single = vocoder(mel, seed=0)
    kernels = gpu.kernels.total()
    assert kernels <= KERNELS
    assert gpu.waits.total() <= 3, gpu.waits
    assert gpu.uploads.total() <= 2, gpu.uploads
    gpu.clear()
    many = vocoder(mel.expand(3, -1, -1).contiguous(), seed=0)
    assert gpu.kernels.total() <= 1.1 * kernels
    torch.testing.assert_close(many[:1].cpu(), single.cpu(), rtol=0, atol=1e-4)


KERNELS = 500
"""Of ``ljspeech``: 32 iterations of consistency are 10 each, all else is some 160."""


@pytest.mark.parametrize("frames", [1, 2, 7, 8, 9, 40])
@pytest.mark.parametrize("pad_mode", ["reflect", "constant"])
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize(
    ("n_fft", "win_length", "hop_length", "power_floor"),
    [
        (64, 64, 16, 1e-9),
        (60, 50, 20, 0.0),
        (64, 64, 64, 1e-9),
        (96, 80, 30, 1e-5),
        (64, 64, 2, 0.0),
    ],
)
def test_iterations_of_few_operators_are_those_of_the_cpu(
    n_fft, win_length, hop_length, power_floor, center, pad_mode, frames, double
):
    """Of every front end, with ends or too short to have two."""
    config = MelConfig(
        n_fft=n_fft,
        win_length=win_length,
        hop_length=hop_length,
        power_floor=power_floor,
        center=center,
        pad_mode=pad_mode,
        n_mels=6,
    )
    plain = MelConsistency(LogMel(config))
    audio, mel = 0.1 * torch.randn(3, frames * hop_length), torch.randn(3, 6, frames) - 4
    mel[1] -= 12  # silence, which the clamp decides about
    few = fold_constants(plain, few_operators)
    with torch.inference_mode():
        torch.testing.assert_close(few(audio, mel, 8, 3), plain(audio, mel, 8, 3))


@pytest.mark.parametrize("layers", [1, 2, 4])
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"kernel_size": 5, "cycle": 2}], ids=str)
def test_a_network_of_few_operators_is_the_plain_one(layers, options, double):
    net = randomise(WaveNet(3, 4, 5, channels=6, layers=layers, **options))
    few, x = fold_constants(net, fused), torch.randn(2, 3, 12)
    for ratio in (1, 4):
        context = torch.randn(2, 5, 12 // ratio)
        torch.testing.assert_close(few(x, context), net(x, context))


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_layers_of_few_operators_are_the_plain_ones(blocks, double):
    """Next to one another and apart, backwards as well."""
    layers = [ActNorm(8), InvertibleConv1x1(8), PLUConv1x1(8), ActNorm(8), ActNorm(8)]
    layers = [randomise(layer) for layer in layers]
    scaled = ContextAffine(torch.nn.Conv1d(3, 8, 1), Scale())
    moved = ContextAffine(torch.nn.Conv1d(3, 16, 1), Affine())
    chain = Chain(
        LappedTransform(4), Inverse(LappedTransform(4)), LappedTransform(8), *layers, scaled, moved
    )
    few = fold_constants(chain.eval(), fused)
    z, context = torch.randn(2, 8, blocks), torch.randn(2, 3, blocks)
    with torch.no_grad():
        torch.testing.assert_close(few.inverse(z.clone(), context), chain.inverse(z, context))


def test_bounds_of_few_operators_are_the_plain_ones():
    bounded, x = Bounded(3), torch.randn(2, 3, 9)
    unseen = fold_constants(bounded, fused).eval()
    assert torch.equal(unseen(x), x)
    bounded(x / 2)
    assert torch.equal(fold_constants(bounded, fused).eval()(x), bounded.eval()(x))


@PRETENDED
@pytest.mark.parametrize("mel", [{}, CENTRED], ids=["own edges", "centred"])
def test_an_iteration_is_few_kernels(mel, gpu):
    vocoder = small("lapflow", **mel).to("cuda")
    log_mel = speechlike(copy.deepcopy(vocoder).cpu())[1].to("cuda")
    vocoder(log_mel)  # makes tables
    counts = []
    for iterations in (4, 14):
        gpu.clear()
        vocoder(log_mel, consistency=iterations)
        counts.append(gpu.kernels.total())
    assert counts[1] - counts[0] <= 11 * 10


@pytest.mark.parametrize("name", SMALL)
def test_an_example_does_not_depend_on_its_neighbours(name, monkeypatch, gpu):
    """However they are dealt to batches, and whatever is the padding."""
    vocoder = small(name).to("cuda")
    _, mel = speechlike(copy.deepcopy(vocoder).cpu(), batch=5)
    lengths = [FRAMES, 9, FRAMES, 9, 1]
    options = {"seed": 1, "temperature": 0.5, "consistency": 2}
    expected = vocoder(mel.to("cuda"), lengths=lengths, **options).cpu()
    garbage = mel.clone()
    for example, count in enumerate(lengths):
        garbage[example, :, count:] = float("nan")
    for frames in (FRAMES, 5) if name == "source_filter" else (FRAMES,):
        monkeypatch.setattr("waveflow.inference.engine.FRAMES", frames)
        found = vocoder(garbage.to("cuda"), lengths=lengths, **options).cpu()
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    on_cpu = vocoder.cpu()(mel, lengths=lengths, **options)
    torch.testing.assert_close(expected, on_cpu, rtol=1e-3, atol=1e-3)


def test_synthesis_is_in_float32_whatever_is_around_it(monkeypatch, gpu):
    vocoder = small("source_filter").to("cuda")
    _, mel = speechlike(copy.deepcopy(vocoder).cpu())
    mel, seen = mel.to("cuda"), []
    expected = vocoder(mel, seed=1)
    plain = torch.nn.functional.conv1d

    def conv1d(*args, **options):
        seen.append(torch.backends.cudnn.conv.fp32_precision)
        return plain(*args, **options)

    monkeypatch.setattr(torch.nn.functional, "conv1d", conv1d)
    with torch.autocast("cuda", torch.bfloat16):
        assert torch.equal(vocoder(mel, seed=1), expected)
    assert set(seen) == {"ieee"}


def test_a_gpu_sees_weights_that_change(gpu):
    vocoder = small("source_filter").to("cuda")
    _, mel = speechlike(copy.deepcopy(vocoder).cpu())
    vocoder(mel.to("cuda"), seed=1)
    randomise(vocoder.cpu(), scale=0.05)
    expected = vocoder(mel, seed=1)
    found = vocoder.to("cuda")(mel.to("cuda"), seed=1)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)


@PRETENDED
@pytest.mark.parametrize("layer", [InvertibleConv1x1, PLUConv1x1])
def test_matrices_are_inverted_without_waiting(layer, gpu):
    bijection = layer(4).to("cuda")
    z = torch.randn(1, 4, 3).to("cuda")
    gpu.clear()
    bijection.inverse(z)
    bijection(z)
    assert not gpu.waits
    assert not gpu.uploads


@PRETENDED
def test_a_singular_matrix_gives_no_number(gpu):
    bijection = InvertibleConv1x1(4)
    with torch.no_grad():
        bijection.weight.zero_()
    assert bijection.to("cuda").inverse(torch.ones(1, 4, 3).to("cuda")).isnan().all()


@pytest.mark.skipif(REAL, reason="a GPU is asked for")
def test_the_tests_see_no_gpu():
    """Not even where there is one, and neither does what they start."""
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
    look = "import tests.conftest, os; print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "0"}
    found = subprocess.run(
        [WARM_PYTHON, "-c", look], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert found.stdout.strip() == "''", found.stderr

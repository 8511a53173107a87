"""Shared by all tests: real clips, a tiny vocoder, a fixed seed, and what workers may use."""

import multiprocessing.resource_tracker
import multiprocessing.spawn
import os
import signal
from dataclasses import replace
from pathlib import Path

if not os.environ.get("WAVEFLOW_TEST_CUDA"):  # the bits that tests expect are those of a CPU
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks; for what tests start as well
    os.environ["TRITON_INTERPRET"] = "1"  # Triton runs kernels on the CPU

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what tests start inherits it

import pytest
import soundfile
import torch

from tests.warm import WARM_PYTHON as WARM_PYTHON  # names the folder that all workers share
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import read_audio

ROOT = Path(__file__).parents[1]
CLIPS = ROOT / "data" / "clips"

SMALL = {
    "nice": {"groups": 8, "flows": 2},
    "realnvp": {"groups": 8, "scales": 2, "couplings": 2},
    "glow": {"groups": 8, "levels": 2, "flows": 2},
    "waveglow": {"groups": 8, "flows": 3, "early_every": 2, "upsampler_kernel_size": 64},
    "squeezewave": {"groups": 8, "flows": 3, "early_every": 2, "early_size": 2},
    "lapflow": {"groups": 8, "whitening_groups": 16, "flows": 2},
    "source_filter": {
        "groups": 8,
        "whitening_groups": 16,
        "flows": 2,
        "block": 8,
        "lowest_pitch": 1575.0,
        "highest_pitch": 3675.0,
        "predictor_channels": 6,
    },
}
"""Every model builder at a size that tests can afford."""

TINY = {
    "name": "lapflow",
    "whitening_groups": 64,
    "groups": 32,
    "flows": 2,
    "channels": 16,
    "layers": 2,
    "context_channels": 32,
    "context_layers": 1,
}
"""A model of the usual mel that makes sound at once."""

MEL = {"n_fft": 32, "win_length": 32, "hop_length": 16, "n_mels": 4}


KINDS = [
    *(
        (name, *rest, 3)
        for name in SMALL
        for rest in (
            (False, "reflect", False),
            (False, "constant", True),
            (True, "reflect", True),
            (True, "constant", False),
        )
    ),
    *((name, False, "reflect", number % 2 == 1, 0) for number, name in enumerate(SMALL)),
]
"""Model, center and pad_mode of the mel, whether causal, iterations of mel consistency: of all 112
combinations those in which every two values meet. Without iterations the mel's ends play no part.
"""


def small_config(name):
    """A vocoder config of model ``name`` with hop 16, so that few samples are many frames."""
    model = {"name": name, "channels": 6, "layers": 2, **SMALL[name]}
    if name != "waveglow":
        model |= {"context_channels": 5, "context_layers": 1}
    return VocoderConfig.from_dict({"model": model, "mel": MEL})


def randomise(module, scale=0.2):
    """Move every parameter off its initial value: zero-initialised ends would hide mistakes."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += scale * noise.to(parameter.dtype)
    return module


def small_vocoder(kind):
    """A vocoder of :data:`KINDS` off its initial state; the weights are the same every time."""
    name, center, pad_mode, causal, iterations = kind
    config = small_config(name)
    config = replace(
        config,
        model=replace(config.model, causal=causal),
        mel=replace(config.mel, center=center, pad_mode=pad_mode),
        synthesis=replace(config.synthesis, consistency=iterations),
    )
    torch.manual_seed(0)
    return randomise(Vocoder(config), 0.05).eval()


def mel_like(vocoder, batch, frames):
    """Random mels of usual levels, (batch, n_mels, frames)."""
    return (torch.randn(batch, vocoder.config.mel.n_mels, frames) - 6).clamp(-9, -4)


LONGEST = [
    "tests/export/test_onnx.py",
    "tests/test_recipe.py",
    "tests/demo/test_page.py",
    "tests/training/test_devices.py",
    "tests/training/test_nothing_lost.py",
    "tests/training/test_training.py",
    "tests/test_gpu.py",
    "tests/test_flagship.py",
    "tests/test_readme.py",
    "tests/test_benchmarks.py",
]
"""Files whose tests take longest."""

if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each worker, and for what it starts
    os.environ |= {"OMP_NUM_THREADS": "1", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
    torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """The longest files come first, so that no worker is left with one at the end."""
    place = {ROOT / path: index for index, path in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(map(str, kind)))
def small(request):
    """A small vocoder of every kind: what synthesises must do so for each, in every form."""
    return small_vocoder(request.param)


@pytest.fixture
def double():
    """Float64 as the default, where mathematics is tested."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def speech():
    """Two seconds of a recording, (1, time), a whole number of hops."""
    audio, _ = read_audio(CLIPS / "LJ001-0016.flac")
    return audio[None, 5120 : 5120 + 172 * 256]


@pytest.fixture(scope="session")
def short_repository(tmp_path_factory):
    """This repository's benchmarks, data and recipes, but for its clips: two beginnings of them.

    What works on all clips takes a tenth of the time there. Nobody may write into it.
    """
    folder = tmp_path_factory.mktemp("repository")
    clips = folder / "data" / "clips"
    clips.mkdir(parents=True)
    for name in ("LJ001-0003.flac", "LJ001-0016.flac"):
        audio, rate = soundfile.read(CLIPS / name, frames=40_000, dtype="int16")
        soundfile.write(clips / name, audio, rate)
    for path in ("benchmarks", "recipes", "data/smoke", "data/splits"):
        (folder / path).symlink_to(ROOT / path)
    return folder


@pytest.fixture
def warm_spawn():
    """Processes that :mod:`multiprocessing` spawns are forks of the warm server."""
    multiprocessing.resource_tracker.ensure_running()  # as usual: it stays when they are gone
    before = multiprocessing.spawn.get_executable()
    multiprocessing.set_executable(WARM_PYTHON)
    yield
    multiprocessing.set_executable(before)


@pytest.fixture(scope="session")
def ljspeech():
    """The bundled vocoder."""
    return Vocoder.from_pretrained("ljspeech")


@pytest.fixture(scope="module")
def vocoder():
    """A tiny vocoder of the usual mel, with random weights."""
    torch.manual_seed(0)
    return Vocoder(VocoderConfig.from_dict({"model": TINY})).eval()


@pytest.fixture(scope="module")
def model(vocoder, tmp_path_factory):
    """The folder of that vocoder, as ``--model`` takes it."""
    folder = tmp_path_factory.mktemp("model")
    vocoder.save_pretrained(folder)
    return str(folder)

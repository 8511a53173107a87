"""Exported graphs against the vocoder they are of: real clips, every model, every length."""

import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from tests.conftest import (
    CLIPS,
    KINDS,
    ROOT,
    TINY,
    mel_like,
    randomise,
    small_config,
    small_vocoder,
)
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import LogMel, MelConfig, MelConsistency, read_audio
from waveflow.cli import main
from waveflow.config import SynthesisConfig
from waveflow.export.builder import OnnxBuilder
from waveflow.export.graph import SynthesisGraph
from waveflow.export.matrix_consistency import MatrixConsistency
from waveflow.export.networks import network
from waveflow.export.onnx import export_torch, onnx_model
from waveflow.noise import positional_noise

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
CLIP = CLIPS / "LJ001-0016.flac"


def session_of(vocoder, **options):
    return onnxruntime.InferenceSession(
        onnx_model(vocoder, **options).SerializeToString(), providers=["CPUExecutionProvider"]
    )


def run(session, mel, seed, hop_length):
    """The audio of a mel with the noise that ``vocoder(mel, seed=seed)`` draws."""
    noise = positional_noise(seed, mel.shape[0], mel.shape[-1] * hop_length).float()
    (audio,) = session.run(["audio"], {"mel": mel.numpy(), "noise": noise.numpy()})
    return torch.from_numpy(audio)


def small_of(name):
    """The first vocoder of a model in the fixture."""
    return small_vocoder(next(kind for kind in KINDS if kind[0] == name))


def assert_same(audio, expected, share=1e-5):
    assert audio.shape == expected.shape
    assert (audio - expected).abs().max() < share * max(1.0, expected.abs().max())


@pytest.fixture(scope="module")
def mels():
    """Four thirds of a second of each clip, (clips, n_mels, frames)."""
    clips = [read_audio(path)[0][8192 : 8192 + 120 * 256] for path in sorted(CLIPS.glob("*.flac"))]
    return LogMel(MelConfig())(torch.stack(clips))


@pytest.mark.parametrize("name", ["ljspeech-nano", "ljspeech"])
def test_bundled_vocoders_sound_the_same(name, mels):
    vocoder = Vocoder.from_pretrained(name)
    session = session_of(vocoder, noise="input")
    audio = run(session, mels, 3, 256)
    expected = vocoder(mels, seed=3)
    assert audio.shape == expected.shape
    assert (audio - expected).abs().max() < 1e-4
    assert expected.abs().max() > 0.2


def test_source_filter_of_the_usual_sizes_sounds_the_same(mels):
    """Blocks of several pieces, lags of speech, three clips at once."""
    config = VocoderConfig.from_dict({"model": {**TINY, "name": "source_filter"}})
    vocoder = randomise(Vocoder(config), scale=0.02).eval()
    audio = run(session_of(vocoder, noise="input"), mels[:3], 3, 256)
    expected = vocoder(mels[:3], seed=3)
    assert audio.shape == expected.shape
    assert (audio - expected).abs().max() < 1e-4
    assert expected.abs().max() > 0.2


def test_many_iterations_round_no_worse_than_torch(mels):
    """64 iterations with momentum magnify rounding, in torch as in ONNX Runtime."""
    vocoder, mel = Vocoder.from_pretrained("ljspeech-hq"), mels[:2, :, :60]
    audio, single = run(session_of(vocoder, noise="input"), mel, 0, 256), vocoder(mel, seed=0)
    torch.set_default_dtype(torch.float64)
    try:
        exact = Vocoder(vocoder.config)
        exact.load_state_dict(vocoder.state_dict())
        double = exact.double().eval()(mel.double(), seed=0)
    finally:
        torch.set_default_dtype(torch.float32)

    def distance(one):
        return (one - double).square().mean().sqrt()

    assert distance(audio) < 2 * distance(single)
    assert distance(audio) < 1e-4


@pytest.mark.parametrize("convention", ["hifigan-22k", "nvidia-22k", "nemo-hifigan-22k"])
@pytest.mark.parametrize("full_band", [None, 2])
def test_every_framing_and_schedule(convention, full_band, mels):
    """At the ends, too, whatever audio is there: mirrored, or silent."""
    small = small_config("lapflow").model
    mel_config = MelConfig.named(convention)
    synthesis = SynthesisConfig(0.7, consistency=6, full_band=full_band)
    vocoder = randomise(Vocoder(VocoderConfig(small, mel_config, synthesis))).eval()
    session = session_of(vocoder, noise="input")
    for mel in (mels[:2, :, :50], mels[:1, :, :2], mels[:3, :, :1]):
        expected = vocoder(mel, seed=3)
        assert_same(run(session, mel, 3, 256), expected, 1e-4)


def test_every_vocoder_at_every_length(small):
    """The file, and the graph that torch programs are traced from."""
    session = session_of(small, noise="input")
    graph = SynthesisGraph(small, small.config.synthesis)
    for batch, frames in ((2, 30), (1, 1), (3, 2)):
        mel = mel_like(small, batch, frames)
        expected = small(mel, seed=1)
        assert_same(run(session, mel, 1, 16), expected)
        assert_same(graph(mel, positional_noise(1, *expected.shape).float()), expected)


PROGRAMS = [
    (("nice", False, "reflect", False, 1), {"flows": 1}),
    (("waveglow", False, "constant", True, 1), {"flows": 2, "early_every": 1}),
    (("lapflow", True, "reflect", True, 1), {"flows": 1}),
    (("squeezewave", True, "constant", False, 1), {"flows": 2, "early_every": 1}),
    (("realnvp", False, "reflect", True, 0), {"couplings": 1}),
    (("glow", False, "reflect", False, 0), {"flows": 1}),
]
"""Kinds of vocoders and how many layers they have, since tracing takes longer the more there are.

Every flow, and every kind of mel's ends with one iteration, which comes after any flow alike. The
source-filter flow is traced at its usual mel, below, and every kind of layer in
``tests/bijections/test_forms.py``.
"""


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch's own reader
@pytest.mark.parametrize(("kind", "sizes"), PROGRAMS, ids=str)
def test_torch_programs(kind, sizes, tmp_path):
    config = small_vocoder(kind).config
    config = replace(config, model=replace(config.model, **sizes))
    small, path = randomise(Vocoder(config), 0.05).eval(), tmp_path / "small.pt2"
    export_torch(small, path)
    program = torch.export.load(path).module()
    for batch, frames in ((2, 30), (1, 3)):
        mel = mel_like(small, batch, frames)
        expected = small(mel, seed=1)
        assert_same(program(mel, positional_noise(1, *expected.shape).float()), expected)


@pytest.mark.parametrize("center", [False, True])
def test_noise_drawn_inside(center):
    """One input and one output, as loaders of other vocoders expect; new noise every time."""
    vocoder = small_of("lapflow")
    vocoder = Vocoder(replace(vocoder.config, mel=replace(vocoder.config.mel, center=center)))
    session = session_of(randomise(vocoder).eval())
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("mel", ["batch", 4, "frames"])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("audio", ["batch", "samples"])]
    mel = -4.5 - 3 * torch.rand(2, 4, 50)
    one, two = (session.run(None, {"mel": mel.numpy()})[0] for _ in "12")
    assert one.shape == (2, 50 * 16)
    assert np.abs(one - two).max() > 0.01
    assert np.abs(one[0] - one[1]).max() > 0.01
    still = session_of(vocoder, temperature=0.0).run(None, {"mel": mel.numpy()})[0]
    expected = vocoder(mel, temperature=0.0).numpy()
    assert np.abs(still - expected).max() < 1e-5 * max(1.0, np.abs(expected).max())


def test_noise_drawn_inside_is_standard_normal():
    """At temperature 2, nothing but the noise: an untrained NICE of equal levels is a rotation."""
    config = small_config("nice")
    session = session_of(Vocoder(config).eval(), temperature=2.0)
    (audio,) = session.run(None, {"mel": np.full((4, 4, 1000), -5, dtype=np.float32)})
    assert audio.mean() == pytest.approx(0, abs=0.05)
    assert audio.std() == pytest.approx(2, rel=0.02)
    assert (audio**4).mean() == pytest.approx(3 * 2**4, rel=0.1)
    assert abs(np.corrcoef(audio)[0, 1]) < 0.05


def test_the_file_says_what_it_is_and_holds_weights_once(ljspeech):
    model = onnx_model(ljspeech)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["model_type"] == "hifigan"  # which sherpa-onnx asks for
    assert (about["temperature"], about["consistency"]) == ("0.8", "32")
    for name, value in asdict(ljspeech.config.mel).items():
        assert about[name] == str(value)
    weights = sum(parameter.numel() for parameter in ljspeech.parameters())
    assert model.ByteSize() < 4 * weights + 1.6e6  # and the tables of the transforms
    assert {opset.domain: opset.version for opset in model.opset_import} == {"": 17}
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"DFT", "STFT", "Inverse", "Loop", "If"}
    assert "Scan" in kinds  # of the long-term predictor


@pytest.mark.parametrize(
    "config",
    [
        MelConfig.named("hifigan-22k"),
        MelConfig.named("nvidia-22k"),
        MelConfig.named("nemo-hifigan-22k"),
        MelConfig(win_length=800),
        MelConfig(hop_length=250, n_fft=1000, win_length=700),
        MelConfig(hop_length=400, n_fft=900, win_length=800),
        MelConfig(hop_length=255, n_fft=1025, win_length=1025),
        MelConfig(hop_length=64, n_fft=256, win_length=256, n_mels=20, center=True),
        MelConfig(hop_length=100, n_fft=394, win_length=394, n_mels=20, f_min=200),  # 2 x a prime
    ],
)
def test_transforms_of_every_size(config, speech):
    log_mel = LogMel(config)
    audio = speech[:, : config.hop_length * 40]
    for frames in (40, 1, 2):
        mel = log_mel(audio)[..., :frames]
        noise = 0.05 * torch.randn(1, frames * config.hop_length)
        for full_band in (None, 2):
            expected = MelConsistency(log_mel)(noise, mel, 6, full_band)
            nearer = MatrixConsistency(log_mel, iterations=6, full_band=full_band)(noise, mel)
            assert (nearer - expected).abs().max() < 1e-5
        assert frames < 40 or (nearer - noise).abs().max() > 0.05


def test_export_changes_nothing_of_the_vocoder():
    vocoder = small_of("waveglow")
    mel = -4.5 - 3 * torch.rand(1, 4, 10)
    before = {name: value.clone() for name, value in vocoder.state_dict().items()}
    audio = vocoder(mel, seed=0)
    graph = SynthesisGraph(vocoder, vocoder.config.synthesis)
    after = vocoder.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert torch.equal(vocoder(mel, seed=0), audio)
    assert not any("parametrizations" in name for name in graph.state_dict())
    log_prob = vocoder.train().log_prob(audio, mel).sum()
    assert log_prob.requires_grad


def test_example_without_torch(tmp_path, ljspeech):
    """The document's example, where torch and this package cannot be imported."""
    assert (
        main(["export", "onnx", "-o", str(tmp_path / "ljspeech.onnx"), "--temperature", "0"]) == 0
    )
    assert main(["mel", str(CLIP), "-o", str(tmp_path / "mel.npz")]) == 0
    for name in ("torch", "waveflow"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')")
    (tmp_path / "example.py").write_text(EXAMPLES[0])
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, check=True)
    audio, rate = read_audio(tmp_path / "speech.wav")
    mel = torch.from_numpy(np.load(tmp_path / "mel.npz")["mel"])[None]
    expected = ljspeech(mel, temperature=0.0)[0]
    assert rate == 22050
    assert audio.shape == expected.shape
    assert (audio - expected.clamp(-1, 1)).abs().max() < 2e-4  # a 16-bit file


@pytest.mark.filterwarnings("ignore:The given buffer is not writable")  # torch's own reader
def test_torch_program_at_another_length(tmp_path, monkeypatch, mels):
    """As the document runs it, and against the vocoder."""
    sizes = {"name": "source_filter", "flows": 1, "layers": 1}
    config = VocoderConfig.from_dict({"model": TINY | sizes})
    vocoder = randomise(Vocoder(config), scale=0.02).eval()
    export_torch(vocoder, tmp_path / "ljspeech.pt2", temperature=0.7, consistency=1)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(EXAMPLES[1], namespace)  # noqa: S102
    for mel in (mels[:3, :, :50], mels[:1, :, :7]):
        expected = vocoder(mel, temperature=0.7, consistency=1, seed=5)
        noise = positional_noise(5, *expected.shape).float()
        assert (namespace["program"](mel, noise) - expected).abs().max() < 1e-4


def test_what_does_not_fit_is_refused(tmp_path, monkeypatch, capsys):
    vocoder = small_of("nice")
    with pytest.raises(ValueError, match="expected noise 'input' or 'graph'; got 'none'"):
        onnx_model(vocoder, noise="none")
    with pytest.raises(ValueError, match=r"expected synthesis\.consistency of 0 or more; got -1"):
        onnx_model(vocoder, consistency=-1)
    with pytest.raises(ValueError, match="no ONNX form of Linear"):
        network(nn.Linear(2, 2), OnnxBuilder(), "x", "", 1)
    assert main(["export", "onnx", "-o", str(tmp_path / "model.pt2")]) == 1
    assert "expected a file ending in .onnx" in capsys.readouterr().err
    assert main(["export", "torch", "-o", str(tmp_path / "a.pt2"), "--noise", "graph"]) == 1
    assert "expected input for a torch program" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'waveflow\[onnx\]'"):
        onnx_model(vocoder)

"""Exported graphs against the vocoder they are of: real clips, every model, every length."""

import re
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import onnx
import pytest
import torch

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
from tests.export.onnx_runtime import session_of
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import LogMel, MelConfig, MelConsistency, read_audio
from waveflow.cli import main
from waveflow.config import SynthesisConfig
from waveflow.export.graph import SynthesisGraph
from waveflow.export.matrix_consistency import MatrixConsistency
from waveflow.export.onnx import export_torch, onnx_model, to_onnx, traced
from waveflow.noise import positional_noise

DOCUMENT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
CLIP = CLIPS / "LJ001-0016.flac"


def run(session, mel, seed, hop_length):
    """The audio of a mel with the noise that ``vocoder(mel, seed=seed)`` draws."""
    noise = positional_noise(seed, mel.shape[0], mel.shape[-1] * hop_length).float()
    (audio,) = session.run(["audio"], {"mel": mel.numpy(), "noise": noise.numpy()})
    return torch.from_numpy(audio)


def plain(vocoder, mel, seed):
    """The audio of the graph that is traced."""
    graph = SynthesisGraph(vocoder, vocoder.config.synthesis)
    samples = mel.shape[-1] * vocoder.config.mel.hop_length
    return graph(mel, positional_noise(seed, len(mel), samples).float())


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


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The file of a bundled vocoder with many iterations, as the command writes it."""
    path = tmp_path_factory.mktemp("onnx") / "nano.onnx"
    options = ["--model", "ljspeech-nano", "--noise", "input", "--consistency", "64"]
    assert main(["export", "onnx", "-o", str(path), *options]) == 0
    return onnx.load(path)


@pytest.fixture(scope="module")
def nano():
    return Vocoder.from_pretrained("ljspeech-nano")


def test_a_bundled_vocoder_sounds_the_same(exported, nano, mels):
    """Blocks of several pieces, lags of speech, several clips at once.

    64 iterations with momentum magnify rounding, in ONNX Runtime no more than in torch.
    """
    mel, options = mels[:3], {"seed": 3, "consistency": 64}
    audio, single = run(session_of(exported), mel, 3, 256), nano(mel, **options)
    torch.set_default_dtype(torch.float64)
    try:
        exact = Vocoder(nano.config)
        exact.load_state_dict(nano.state_dict())
        double = exact.double().eval()(mel.double(), **options)
    finally:
        torch.set_default_dtype(torch.float32)

    def distance(one):
        return (one - double).square().mean().sqrt()

    assert audio.shape == single.shape
    assert (audio - single).abs().max() < 1e-4
    assert distance(audio) < 2 * distance(single)
    assert distance(audio) < 1e-4
    assert single.abs().max() > 0.2


@pytest.mark.parametrize("convention", ["hifigan-22k", "nvidia-22k", "nemo-hifigan-22k"])
@pytest.mark.parametrize("full_band", [None, 2])
def test_every_framing_and_schedule(convention, full_band, mels):
    """At the ends, too, whatever audio is there: mirrored, or silent."""
    small = small_config("lapflow").model
    mel_config = MelConfig.named(convention)
    synthesis = SynthesisConfig(0.7, consistency=6, full_band=full_band)
    vocoder = randomise(Vocoder(VocoderConfig(small, mel_config, synthesis))).eval()
    for mel in (mels[:2, :, :50], mels[:1, :, :2], mels[:3, :, :1]):
        assert_same(plain(vocoder, mel, 3), vocoder(mel, seed=3), 1e-4)


def test_every_vocoder_at_every_length(small):
    for batch, frames in ((2, 30), (1, 1), (3, 2)):
        mel = mel_like(small, batch, frames)
        assert_same(plain(small, mel, 1), small(mel, seed=1))


PROGRAMS = [
    (("waveglow", False, "constant", True, 1), {"flows": 2, "early_every": 1}),
    (("nice", True, "reflect", True, 1), {"flows": 1}),
]
"""Kinds of vocoders and how many layers they have, since tracing takes longer the more there are.

Both kinds of a mel's ends, with one iteration. Every bijection is traced in
``tests/bijections/test_forms.py``, every network in ``tests/nets/test_forms.py``.
"""


@pytest.mark.parametrize(("kind", "sizes"), PROGRAMS, ids=str)
def test_programs_at_any_length(kind, sizes):
    """In torch, and in ONNX Runtime, whose file is made of the same program."""
    config = small_vocoder(kind).config
    config = replace(config, model=replace(config.model, **sizes))
    small = randomise(Vocoder(config), 0.05).eval()
    program = traced(small, small.config.synthesis, "input")
    session = session_of(to_onnx(program, ["mel", "noise"], ["audio"]))
    for batch, frames in ((2, 30), (1, 3), (1, 1), (3, 2)):
        mel = mel_like(small, batch, frames)
        expected = small(mel, seed=1)
        assert_same(run(session, mel, 1, 16), expected)
        if frames > 2:
            noise = positional_noise(1, *expected.shape).float()
            assert_same(program.module()(mel, noise), expected)


def test_noise_drawn_inside():
    """One input and one output, as loaders of other vocoders expect; new noise every time.

    An untrained NICE of equal levels is a rotation, so at temperature 2 its audio is the noise.
    """
    vocoder = Vocoder(small_config("nice")).eval()
    session = session_of(onnx_model(vocoder, temperature=2.0, consistency=0))
    assert [(i.name, i.shape) for i in session.get_inputs()] == [("mel", ["batch", 4, "frames"])]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [("audio", ["batch", "samples"])]
    mel = np.full((4, 4, 1000), -5, dtype=np.float32)
    audio, again = (session.run(None, {"mel": mel})[0] for _ in "12")
    assert audio.shape == (4, 1000 * 16)
    assert audio.mean() == pytest.approx(0, abs=0.05)
    assert audio.std() == pytest.approx(2, rel=0.02)
    assert (audio**4).mean() == pytest.approx(3 * 2**4, rel=0.1)
    assert np.abs(np.corrcoef(np.concatenate([audio, again])) - np.eye(8)).max() < 0.05


def test_the_file_says_what_it_is_and_holds_weights_once(exported, nano):
    about = {entry.key: entry.value for entry in exported.metadata_props}
    assert about["model_type"] == "hifigan"  # which sherpa-onnx asks for
    assert (about["temperature"], about["consistency"]) == ("0.8", "64")
    for name, value in asdict(nano.config.mel).items():
        assert about[name] == str(value)
    weights = sum(parameter.numel() for parameter in nano.parameters())
    assert exported.ByteSize() < 4 * weights + 1.6e6  # and the tables of the transforms
    assert {opset.domain: opset.version for opset in exported.opset_import} == {"": 18}
    kinds = {node.op_type for node in exported.graph.node}
    assert not kinds & {"DFT", "STFT", "Inverse", "Loop", "If"}
    assert "Scan" in kinds  # of the long-term predictor, and of the iterations
    assert str(ROOT).encode() not in exported.SerializeToString()  # as in a trace of the stack


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


def test_example_without_torch(tmp_path, vocoder, model):
    """The document's example, where torch and this package cannot be imported."""
    options = ["--model", model, "-o", str(tmp_path / "ljspeech.onnx"), "--temperature", "0"]
    assert main(["export", "onnx", *options]) == 0
    assert main(["mel", str(CLIP), "-o", str(tmp_path / "mel.npz")]) == 0
    for name in ("torch", "waveflow"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not here')")
    (tmp_path / "example.py").write_text(EXAMPLES[0])
    subprocess.run([sys.executable, "example.py"], cwd=tmp_path, check=True)
    audio, rate = read_audio(tmp_path / "speech.wav")
    mel = torch.from_numpy(np.load(tmp_path / "mel.npz")["mel"])[None]
    expected = vocoder(mel, temperature=0.0)[0]
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
    assert main(["export", "onnx", "-o", str(tmp_path / "model.pt2")]) == 1
    assert "expected a file ending in .onnx" in capsys.readouterr().err
    assert main(["export", "torch", "-o", str(tmp_path / "a.pt2"), "--noise", "graph"]) == 1
    assert "expected input for a torch program" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'waveflow\[onnx\]'"):
        onnx_model(vocoder)

"""What synthesis costs: all ways make the same sound, and the figures hang together."""

import json
import math
from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch

from tests.conftest import CLIPS, TINY
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import read_audio
from waveflow.cli import main
from waveflow.evaluation import gmacs_per_second
from waveflow.evaluation.bench import Case, Plan, Stream, Unavailable, worker
from waveflow.evaluation.bench.engines import counted, synthesis_of
from waveflow.evaluation.bench.memory import RESET, PeakMemory

LINUX = RESET.exists()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    synthesis = {"temperature": 0.5, "consistency": 2}
    folder = tmp_path_factory.mktemp("model")
    Vocoder(VocoderConfig.from_dict({"model": TINY, "synthesis": synthesis})).save_pretrained(
        folder
    )
    return str(folder)


@pytest.fixture
def case(model):
    return Case(model, "engine", torch.get_num_threads(), 1, 0.5)


@pytest.mark.parametrize(
    ("engine", "consistency"),
    [("engine", None), ("engine", 0), ("plain", None), ("plain", 0), ("onnx", 0), ("openvino", 0)],
)
def test_all_ways_make_the_same_sound(engine, consistency, case):
    if engine == "openvino" and not find_spec("openvino"):
        pytest.skip("needs openvino")
    vocoder = Vocoder.from_pretrained(case.model)
    clips = [read_audio(path)[0][8192:16384] for path in sorted(CLIPS.glob("*.flac"))[:2]]
    mel = vocoder.mel(torch.stack(clips))[..., :32]
    synthesise = synthesis_of(replace(case, engine=engine, consistency=consistency), vocoder)
    expected = vocoder(mel, seed=0, consistency=consistency)
    for part in (mel, mel[:1, :, :20]):  # one way takes all sizes
        sound = synthesise(part)
        assert sound.shape == (len(part), 256 * part.shape[-1])
    assert (synthesise(mel) - expected).abs().max() < 1e-3 * expected.abs().max()


def test_without_a_compiler_nothing_is_compiled(case, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    vocoder = Vocoder.from_pretrained(case.model)
    with pytest.raises(Unavailable, match=r"no C\+\+ compiler"):
        synthesis_of(replace(case, engine="compile"), vocoder)


def test_arithmetic_is_that_of_each_way(case):
    vocoder = Vocoder.from_pretrained(case.model)
    mel = vocoder.mel(0.1 * torch.randn(1, 8192))[..., :32]

    def count(engine):
        work = counted(replace(case, engine=engine), vocoder)
        return gmacs_per_second(lambda: work(mel), 1.0)

    z, audio = torch.zeros(1, 32, 256), torch.zeros(1, 8192)
    decode = gmacs_per_second(lambda: vocoder.decode(z, mel), 1.0)
    iteration = gmacs_per_second(lambda: vocoder._consistency(audio, mel, 1), 1.0)
    assert count("plain") == pytest.approx(decode + 2 * iteration)
    assert count("compile") == count("plain")
    vocoder(mel, seed=0)  # the engine is made once
    assert count("engine") == gmacs_per_second(lambda: vocoder(mel, seed=0), 1.0)
    assert count("onnx") > 2 * count("plain")  # its Fourier transforms are products


def test_a_stream_is_timed_chunk_by_chunk(case):
    found = worker.call_stream(Stream(case, 16))
    assert len(found["chunks"]) == math.ceil(0.5 * 22050 / 256 / 16)
    assert min(found["chunks"]) > 0
    assert 0 < found["first"][0] < sum(found["chunks"])
    whole = worker.call_stream(Stream(case, 1000))
    assert len(whole["chunks"]) == 1
    facts = worker.stream_facts(Stream(case, 16))
    vocoder = Vocoder.from_pretrained(case.model)
    assert facts["chunk_ms"] == pytest.approx(16 * 256 / 22.05)
    assert facts["look_ahead_ms"] == pytest.approx(vocoder.look_ahead() / 22.05)


@pytest.mark.skipif(not LINUX, reason="needs Linux")
def test_memory_is_the_peak_and_forgets_earlier_ones():
    def touch(megabytes):
        torch.ones(megabytes * 250_000).sum()

    touch(300)
    for megabytes in (200, 100):
        with PeakMemory("cpu") as grown:
            touch(megabytes)
        assert grown.bytes == pytest.approx(1e6 * megabytes, abs=1e7)


@pytest.mark.usefixtures("warm_spawn")
def test_the_command_measures(model, tmp_path, capsys, monkeypatch):
    (tmp_path / "openvino.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(tmp_path)
    figures = tmp_path / "figures.json"
    options = "--engines engine,openvino --seconds 2 --threads 1 --chunks 8 --rounds 3".split()
    assert main(["bench", "--model", model, *options, "--json", str(figures)]) == 0
    found, shown = json.loads(figures.read_text()), capsys.readouterr().out
    assert found["skipped"] == {"openvino": "needs pip install openvino (not here)"}
    assert "openvino skipped: needs pip install openvino (not here)" in shown
    (row,) = found["rows"]
    peak, seconds = found["matmul_gflop_per_s"]["1"], 172 * 256 / 22050
    assert (row["engine"], row["threads"], row["batch"], row["seconds"]) == ("engine", 1, 1, 2)
    assert 0 < row["speed_low"] <= row["speed"] <= row["speed_high"]
    assert row["ms_p50"] == pytest.approx(1000 * seconds / row["speed"])
    assert row["ms_p50"] <= row["ms_p95"]
    assert row["share_of_peak"] == pytest.approx(2 * row["gmac_per_s"] * row["speed"] / peak)
    assert 0 < row["share_of_peak"] < 1
    assert f"\n| engine | 1 | 1 | 2 | {row['speed']:.1f} |" in shown
    if LINUX:
        assert row["memory_mb"] > 172 * 256 * 4 / 1e6  # the sound itself
    (stream,) = found["streams"]
    assert 0 < stream["first_ms_p50"] <= stream["first_ms_p95"]
    assert 0 < stream["chunk_ms_p50"] <= stream["chunk_ms_p95"] <= stream["chunk_ms_worst"]
    assert stream["real_time"] == (stream["chunk_ms_p95"] < stream["chunk_ms"])
    assert f"\n| 1 | 8 | 93 | {stream['first_ms_p50']:.1f} |" in shown


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"engines": ("engine", "warp")}, "expected engines among engine, plain"),
        ({"engines": ()}, "expected one or more engines"),
        ({"threads": (0,)}, "expected threads of 1 or more"),
        ({"batches": (1, -1)}, "expected batches of 1 or more"),
        ({"chunks": (0,)}, "expected chunks of 1 or more"),
        ({"seconds": (0.0,)}, "expected seconds from 0.1"),
        ({"seconds": (float("nan"),)}, "expected seconds from 0.1"),
        ({"rounds": 0}, "expected 1 round or more"),
    ],
)
def test_a_plan_that_cannot_be_measured(wrong, message):
    with pytest.raises(ValueError, match=message):
        Plan("ljspeech", **wrong)


def test_a_plan_is_all_combinations():
    plan = Plan(
        "m", engines=("engine", "plain"), threads=(1, 2), batches=(3, 1), seconds=(1.0, 2.0)
    )
    cases = list(plan.cases())
    assert len(cases) == len(set(cases)) == 2 * 2 * 2 * 2
    streams = list(plan.streams())
    assert [(s.case.threads, s.frames) for s in streams] == [(1, 16), (1, 64), (2, 16), (2, 64)]
    assert all((s.case.batch, s.case.seconds) == (1, 2.0) for s in streams)
    assert not list(replace(plan, engines=("plain", "onnx")).streams())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threads", "1,,2"], "expected comma-separated values"),
        (["--threads", "0"], "a whole number of 1 or more"),
        (["--engines", "warp"], "expected engines among"),
        (["--model", "nobody"], "nobody"),
        (["--json", "/no/such/folder/x.json"], "--json"),
    ],
)
def test_wrong_arguments_are_told_in_a_line(options, message, capsys):
    assert main(["bench", *options]) in (1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "Examples:\n  waveflow bench" in capsys.readouterr().out

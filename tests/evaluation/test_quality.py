"""Predicted opinions and CREPE's figures, on a recording and on what is plainly worse."""

from __future__ import annotations

import dataclasses
import json
import sys

import pytest
import torch

from tests.conftest import CLIPS
from waveflow.audio import read_audio, resample, write_audio
from waveflow.evaluation import (
    NoSpeechError,
    RecordingScore,
    Report,
    crepe_score,
    distill_mos,
    dnsmos,
    evaluate,
    evaluate_noise,
    noise_copy,
    opinion,
    read_recording,
)
from waveflow.evaluation.quality import quality_scores
from waveflow.evaluation.white_noise import NOISE_LEVEL, WHITE_NOISE
from waveflow.noise import positional_noise

RATE = 22050


@pytest.fixture(scope="module")
def clip():
    """A quarter of a second of a recording; CREPE takes seconds for a second."""
    return read_audio(CLIPS / "LJ001-0016.flac")[0][11000 : 11000 + 24 * 256]


@pytest.fixture(scope="module")
def hiss(clip):
    """Noise as loud as the recording."""
    generator = torch.Generator().manual_seed(0)
    return clip.std() * torch.randn(len(clip), generator=generator)


@pytest.fixture(scope="module")
def identical(clip):
    """All scores of a copy without a fault."""
    return quality_scores(clip, clip, RATE)


def test_opinions_of_a_recording_and_of_noise(hiss):
    """The clip is short and whole; DistillMOS of the five clips has a mean of 4.39."""
    audio = read_audio(CLIPS / "LJ001-0016.flac")[0]
    assert 4.1 < distill_mos(audio, RATE) < 4.7
    assert 2.9 < dnsmos(audio, RATE) < 3.6
    assert distill_mos(audio, RATE) > distill_mos(hiss, RATE) + 1
    assert dnsmos(audio, RATE) > dnsmos(hiss, RATE) + 1


def test_dnsmos_is_that_of_its_package(clip):
    from speechmos import dnsmos as package

    samples = resample(clip, RATE, 16000).clamp(-1, 1)
    for audio in (samples, samples.repeat(38)):  # below a window, and two of them
        theirs = package.run(audio.numpy(), 16000)["ovrl_mos"]
        assert dnsmos(audio, 16000) == pytest.approx(theirs, abs=0.05)


def test_networks_are_kept():
    assert opinion._dnsmos() is opinion._dnsmos()
    assert opinion._dnsmos().get_providers() == ["CPUExecutionProvider"]
    assert opinion._distill_mos() is opinion._distill_mos()


def test_crepe_of_a_recording_identity_is_perfect_and_noise_is_not(identical, clip, hiss):
    names = ("periodicity_error", "crepe_pitch_error", "crepe_voicing_f1")
    assert [identical[name] for name in names] == [0, 0, 1]
    other = crepe_score(clip, hiss, RATE)
    assert other.periodicity_error > 0.2
    assert other.voicing_f1 < 0.7


def test_scores_of_a_pair_and_of_silence(identical, clip):
    recorded = identical["recorded"]
    assert identical["distill_mos"] == recorded.distill_mos
    assert identical["dnsmos"] == recorded.dnsmos
    assert identical["band_periodicity"] == recorded.band_periodicity
    silent = quality_scores(0 * clip, 0 * clip, RATE)
    assert silent.pop("recorded") == RecordingScore()
    assert set(silent.values()) == {None}
    for judge in (distill_mos, dnsmos):
        with pytest.raises(NoSpeechError, match="silence"):
            judge(0 * clip, RATE)
    with pytest.raises(NoSpeechError, match="16 kHz"):
        crepe_score(clip[:500], clip[:500], RATE)


@pytest.mark.parametrize("package", ["distillmos", "speechmos", "torchcrepe"])
def test_missing_package_is_told_with_its_extra(package, monkeypatch, vocoder):
    for cached in (opinion._distill_mos, opinion._dnsmos):
        cached.cache_clear()
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"{package}.*waveflow\[quality\]"):
        evaluate(vocoder, ["nowhere.wav"], quality=True)
    with pytest.raises(ImportError, match=rf"{package}.*waveflow\[quality\]"):
        evaluate_noise(vocoder, ["nowhere.wav"], quality=True)


def test_reports_and_tables_have_the_judges(vocoder, clip, tmp_path, monkeypatch):
    found = {
        "distill_mos": 3.5,
        "dnsmos": 3.0,
        "periodicity_error": 0.1,
        "crepe_pitch_error": 20.0,
        "crepe_voicing_f1": 0.9,
        "band_periodicity": (0.9, 0.7, 0.5, -0.012, None),
        "recorded": RecordingScore(4.25, 3.25, (0.95, 0.8, 0.6, 0.5, 0.3)),
    }
    monkeypatch.setattr("waveflow.evaluation.scoring.quality_scores", lambda *_: found)
    write_audio(tmp_path / "clip.wav", clip, RATE)
    report = evaluate(vocoder, [tmp_path / "clip.wav"], pitch=False, quality=True)
    assert report.distill_mos == 3.5
    assert report.recorded == found["recorded"]
    header, _, _, whole, noise, recordings = report.to_table({WHITE_NOISE: report}).splitlines()
    assert "| DistillMOS | DNSMOS | periodicity error | band periodicity |" in header
    assert "| 3.50 | 3.00 | 0.100 | .900 .700 .500 -.012 – |" in whole
    assert noise.startswith("| white noise, same iterations |")
    assert recordings.startswith("| recordings | – |")
    assert "| 4.25 | 3.25 | – | .950 .800 .600 .500 .300 |" in recordings
    assert Report.from_dict(json.loads(report.to_json())) == report
    plain = dataclasses.replace(report.clips[0], **dict.fromkeys(found))
    assert "MOS" not in dataclasses.replace(report, clips=(plain,)).to_table()


def test_noise_copy_is_noise_brought_to_the_mel(vocoder, clip, tmp_path):
    write_audio(tmp_path / "clip.wav", clip, RATE)
    recording = read_recording(tmp_path / "clip.wav", vocoder._log_mel)
    mel = recording.mel[None]
    none, many = (
        noise_copy(vocoder, mel, vocoder.config.synthesis.override(consistency=count), seed=3)
        for count in (0, 8)
    )
    expected = NOISE_LEVEL * positional_noise(3, 1, len(clip))
    torch.testing.assert_close(none, expected.float())
    far, near = ((vocoder.mel(audio) - mel).abs().mean() for audio in (none, many))
    assert near < 0.2 * far
    report = evaluate_noise(vocoder, [tmp_path / "clip.wav"], consistency=8, pitch=False)
    assert (report.temperature, report.consistency) == (None, 8)
    assert report.nats_per_sample is None
    assert report.clips[0].log_mel_distance < 0.5

"""The report's figures are those of the vocoder, and add up."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
import torch

from tests.conftest import TINY
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import LogMel, read_audio, write_audio
from waveflow.evaluation import evaluate, nats_per_sample, read_recording

SPEECH = Path(__file__).parents[2] / "data" / "clips" / "LJ001-0016.flac"


@pytest.fixture(scope="module")
def vocoder():
    torch.manual_seed(0)
    return Vocoder(VocoderConfig.from_dict({"model": TINY})).eval()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Speech of two lengths, and silence."""
    folder = tmp_path_factory.mktemp("clips")
    audio, rate = read_audio(SPEECH)
    write_audio(folder / "long|.wav", audio[:40000], rate)
    write_audio(folder / "short.wav", audio[11000:33000], rate)
    write_audio(folder / "silent.wav", torch.zeros(8192), rate)
    return [folder / "long|.wav", folder / "short.wav", folder / "silent.wav"]


@pytest.fixture(scope="module")
def report(vocoder, clips):
    return evaluate(vocoder, clips, temperature=0.5, seed=1)


def test_nats_are_those_of_the_vocoder(vocoder, clips, report):
    log_mel = LogMel(vocoder.config.mel)
    for path, score in zip(clips, report.clips, strict=True):
        audio = read_audio(path)[0][None, : score.samples]
        mel = vocoder.mel(audio)
        generator = torch.Generator().manual_seed(0)
        uniform = torch.rand(audio.shape, generator=generator) - 0.5
        nats = vocoder.log_prob(audio + uniform * 2**-15, mel).item() / score.samples
        assert score.nats_per_sample == pytest.approx(nats, abs=1e-3)
        assert score.nats_per_sample == nats_per_sample(vocoder, read_recording(path, log_mel))
        assert score.bits_per_sample == pytest.approx(15 - nats / math.log(2), abs=2e-3)


def test_clips_are_cut_to_whole_hops(report):
    assert [score.samples for score in report.clips] == [39936, 21760, 8192]
    assert [score.seconds * 22050 for score in report.clips] == pytest.approx([39936, 21760, 8192])


def test_only_speech_has_scores_of_speech(report):
    *speech, silent = report.clips
    for score in speech:
        assert 1 <= score.pesq <= 4.65
        assert score.stoi <= 1
    assert silent.pesq is None
    assert silent.stoi is None
    assert report.pesq == pytest.approx(sum(score.pesq for score in speech) / 2)
    assert report.stoi == pytest.approx(sum(score.stoi for score in speech) / 2)


def test_whole_set_is_weighted_by_length(report):
    samples = sum(score.samples for score in report.clips)
    nats = sum(score.nats_per_sample * score.samples for score in report.clips)
    seconds = sum(score.synthesis_seconds for score in report.clips)
    assert report.nats_per_sample == pytest.approx(nats / samples)
    assert report.times_real_time == pytest.approx(samples / 22050 / seconds)


def test_json_and_table_say_the_same(report):
    content = json.loads(report.to_json())
    header, rule, *rows = report.to_table().splitlines()
    assert len(rows) == 4
    assert rows[0].startswith("| long\\|.wav | ")
    assert rows[-1].startswith("| all 3 | ")
    assert {content["temperature"], content["seed"]} == {0.5, 1}
    for row, scores in zip(rows, [*content["clips"], content["all"]], strict=True):
        cells = row.replace("\\|", "").strip("| ").split(" | ")
        assert len(cells) == header.count("|") - 1 == rule.count("|") - 1
        names = "seconds nats_per_sample bits_per_sample pesq stoi times_real_time".split()
        for cell, name in zip(cells[1:], names, strict=True):
            if scores[name] is None:
                assert cell == "–"
            else:
                assert float(cell) == pytest.approx(scores[name], abs=0.06)


def test_is_frozen_and_repeats(vocoder, clips, report):
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.seed = 2
    again = evaluate(vocoder, clips[1:], temperature=0.5, seed=1)
    for one, two in zip(report.clips[1:], again.clips, strict=True):
        assert dataclasses.replace(one, synthesis_seconds=1) == dataclasses.replace(
            two, synthesis_seconds=1
        )


def test_copy_synthesis_of_a_perfect_vocoder_is_perfect(clips):
    class Remembering(Vocoder):
        """Gives the recording back whose mel it is asked for."""

        def forward(self, mel, **options):
            return self.audio[None]

    remembering = Remembering(VocoderConfig.from_dict({"model": TINY}))
    remembering.audio = read_recording(clips[0], LogMel(remembering.config.mel)).audio
    report = evaluate(remembering, clips[:1])
    assert report.pesq == pytest.approx(4.64, abs=0.01)
    assert report.stoi == pytest.approx(1)


def test_nothing_to_evaluate_is_refused(vocoder):
    with pytest.raises(ValueError, match="got none"):
        evaluate(vocoder, [])


def test_too_short_a_recording_is_refused_by_name(vocoder, tmp_path):
    write_audio(tmp_path / "tiny.wav", torch.zeros(300), 22050)
    with pytest.raises(ValueError, match=r"tiny\.wav.*at least"):
        evaluate(vocoder, [tmp_path / "tiny.wav"])

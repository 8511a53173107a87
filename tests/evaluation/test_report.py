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
from waveflow.audio.mel import MEL_CONVENTIONS
from waveflow.evaluation import (
    PauseTones,
    Report,
    evaluate,
    evaluate_baseline,
    griffin_lim,
    nats_per_sample,
    read_recording,
    read_reports,
    tone_prominence,
)
from waveflow.evaluation.baseline import GRIFFIN_LIM
from waveflow.evaluation.white_noise import WHITE_NOISE

SPEECH = Path(__file__).parents[2] / "data" / "clips" / "LJ001-0016.flac"


OF_SPEECH = [
    *("pesq", "pesq_narrowband", "stoi", "estoi", "mel_cepstral_distortion", "log_mel_distance"),
    *("stft_distance", "f0_error", "voicing_f1"),
]


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


@pytest.fixture(scope="module")
def baseline(vocoder, clips):
    return evaluate_baseline(clips, vocoder.config.mel, groups=32)


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
    for name in OF_SPEECH:
        assert getattr(silent, name) is None
    assert report.pesq == pytest.approx(sum(score.pesq for score in speech) / 2)
    for name in set(OF_SPEECH) - {"f0_error"}:
        mean = sum(getattr(score, name) for score in speech) / 2
        assert getattr(report, name) == pytest.approx(mean)


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
        names = (
            "nats_per_sample bits_per_sample pesq stoi mel_cepstral_distortion f0_error "
            "voicing_f1 times_real_time"
        ).split()
        assert {*names, *OF_SPEECH} < scores.keys()
        for cell, name in zip(cells[1:], names, strict=True):
            if scores[name] is None:
                assert cell == "–"
            else:
                assert float(cell) == pytest.approx(scores[name], abs=0.06)


def test_tones_are_those_of_all_pauses(report, baseline):
    """Of the copies, and of the recordings beside them; clips have no figure of their own."""
    for one, two in zip(report.clips, baseline.clips, strict=True):
        assert one.recorded_tones == two.recorded_tones
    assert report.clips[2].tones is None  # silent
    assert report.tone_prominence is None  # too little pause
    assert "tones" not in report.to_table()

    tones = [PauseTones(300, (4.0,)), PauseTones(100, (12.0,)), None]
    clips = [
        dataclasses.replace(clip, tones=one, recorded_tones=one and PauseTones(one.frames, (2.0,)))
        for clip, one in zip(report.clips, tones, strict=True)
    ]
    pooled = dataclasses.replace(report, clips=tuple(clips))
    assert pooled.tone_prominence == tone_prominence([PauseTones(400, (6.0,))])
    assert pooled.recorded_tone_prominence == tone_prominence([PauseTones(400, (2.0,))])
    assert pooled.pause_seconds == pytest.approx(400 * 256 / 22050)
    whole = json.loads(pooled.to_json())["all"]
    for name in ("tone_prominence", "recorded_tone_prominence", "pause_seconds"):
        assert whole[name] == getattr(pooled, name)
    figures = (
        f"{pooled.tone_prominence:.1f} dB, recordings {pooled.recorded_tone_prominence:.1f} dB"
    )
    *table, empty, line = pooled.to_table().splitlines()
    assert (table, empty) == (report.to_table().splitlines(), "")
    assert line == f"tones in 4.6 s of pauses: vocoder {figures}"
    beside = pooled.to_table({"other": pooled})
    assert beside.endswith(f", other {pooled.tone_prominence:.1f} dB")
    assert pooled.to_table({GRIFFIN_LIM: baseline}).endswith(figures)
    assert Report.from_dict(json.loads(pooled.to_json())) == pooled


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
    assert report.pesq_narrowband == pytest.approx(4.55, abs=0.01)
    assert report.stoi == pytest.approx(1)
    assert report.estoi == pytest.approx(1)
    assert report.mel_cepstral_distortion == report.log_mel_distance == report.stft_distance == 0
    assert (report.f0_error, report.voicing_f1) == (0, 1)


def test_griffin_lim_is_between_noise_and_the_recording(report, baseline):
    """The vocoder was not trained, and makes noise of the mel."""
    assert 1 < report.pesq + 0.5 < baseline.pesq < 4.6
    assert report.stoi < baseline.stoi < 1
    assert 0 < baseline.mel_cepstral_distortion < report.mel_cepstral_distortion
    assert 0 < baseline.log_mel_distance < report.log_mel_distance
    assert 0 < baseline.f0_error < 100
    assert 0.7 < baseline.voicing_f1 < 1


def test_griffin_lim_stands_in_register_with_its_mel(clips):
    for name in ("hifigan-22k", "nvidia-22k"):
        config = MEL_CONVENTIONS[name]
        recording = read_recording(clips[0], LogMel(config))
        audio = griffin_lim(recording.mel, config, seed=3)
        assert len(audio) == len(recording.audio)
        again = LogMel(config)(audio[None])[0, :, : recording.mel.shape[1]]
        assert (again - recording.mel).abs().mean() < 0.2
        assert torch.equal(audio, griffin_lim(recording.mel, config, seed=3))
        assert not torch.equal(audio, griffin_lim(recording.mel, config, seed=4))
    with pytest.raises(ValueError, match=r"80, frames.*got \(3, 5\)"):
        griffin_lim(torch.zeros(3, 5), config)


def test_baseline_has_no_likelihood_and_a_row_of_its_own(report, baseline):
    assert baseline.nats_per_sample is baseline.bits_per_sample is baseline.temperature is None
    assert [clip.samples for clip in baseline.clips] == [clip.samples for clip in report.clips]
    baselines = {GRIFFIN_LIM: baseline, WHITE_NOISE: baseline}
    *_, whole, last, noise = report.to_table(baselines).splitlines()
    assert whole.startswith("| all 3 | ")
    assert last.startswith(f"| Griffin-Lim | – | – | {baseline.pesq:.3f} | ")
    assert noise.startswith("| white noise, same iterations | – | – | ")
    content = json.loads(report.to_json(baselines))
    assert read_reports(content) == (report, baselines)
    both = content.pop("baselines")
    assert both == {name: json.loads(baseline.to_json()) for name in baselines}
    assert content == json.loads(report.to_json())
    content["baseline"] = both[GRIFFIN_LIM]  # as files of earlier versions have it
    for clip in content["clips"]:
        del clip["dnsmos"], clip["recorded"]
    assert read_reports(content) == (report, {GRIFFIN_LIM: baseline})


def test_is_read_again_from_its_json(report, baseline):
    for one in (report, baseline):
        content = json.loads(one.to_json())
        assert Report.from_dict(content) == one
    del content["clips"][1]["stoi"]
    with pytest.raises(ValueError, match="'stoi' is missing"):
        Report.from_dict(content)


def test_pitch_is_left_out_on_request(vocoder, clips):
    for one in (
        evaluate(vocoder, clips[1:2], pitch=False),
        evaluate_baseline(clips[1:2], vocoder.config.mel, pitch=False),
    ):
        assert one.f0_error is one.voicing_f1 is None
        assert one.stoi is not None


def test_nothing_to_evaluate_is_refused(vocoder):
    with pytest.raises(ValueError, match="got none"):
        evaluate(vocoder, [])


def test_too_short_a_recording_is_refused_by_name(vocoder, tmp_path):
    write_audio(tmp_path / "tiny.wav", torch.zeros(300), 22050)
    with pytest.raises(ValueError, match=r"tiny\.wav.*at least"):
        evaluate(vocoder, [tmp_path / "tiny.wav"])

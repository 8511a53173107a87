"""Pitch figures, against tones of known pitch."""

from __future__ import annotations

import math

import librosa
import pytest
import torch

from tests.conftest import CLIPS
from waveflow.audio import read_audio
from waveflow.evaluation import NoSpeechError, f0_error, voicing_f1
from waveflow.evaluation.pitch import Pitch, pitch_error, track_pitch, voicing_score


def voice(hertz, *, seconds=1.0, rate=22050):
    """A harmonic tone, the k-th partial of amplitude 1 / k."""
    phase = 2 * math.pi * hertz * torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    return 0.2 * sum(torch.sin(k * phase) / k for k in range(1, 9))


@pytest.mark.parametrize(("hertz", "rate"), [(110, 22050), (220, 16000), (440, 22050)])
def test_a_tone_has_its_pitch(hertz, rate):
    track = track_pitch(voice(hertz, rate=rate), rate)
    assert track.voiced[2:-2].all()
    errors = track.cents[track.voiced] - 1200 * math.log2(hertz)
    assert errors.abs().max() <= 5.1  # half a step


@pytest.mark.parametrize("cents", [0, 50, -50, 1200])
def test_a_detuned_tone_is_off_by_its_cents(cents):
    tone = voice(150)
    other = voice(150 * 2 ** (cents / 1200))
    assert f0_error(tone, other, 22050) == pytest.approx(abs(cents), abs=5)
    assert voicing_f1(tone, other, 22050) > 0.98


def test_level_does_not_matter():
    assert f0_error(voice(150), 0.1 * voice(150), 22050) == 0


def test_voicing_counts_frames():
    """The copy's second half is noise: precision 1, recall a half, F1 two thirds."""
    tone = voice(150, seconds=2)
    copy = tone.clone()
    copy[22050:] = 0.1 * torch.randn(22050, generator=torch.Generator().manual_seed(0))
    assert voicing_f1(tone, copy, 22050) == pytest.approx(2 / 3, abs=0.05)
    assert f0_error(tone, copy, 22050) < 30


def test_formulas_on_a_few_frames():
    def track(cents, voiced):
        return Pitch(torch.tensor(cents), torch.tensor(voiced))

    one = track([100.0, 200.0, 300.0, math.nan], [True, True, True, False])
    two = track([130.0, 160.0, math.nan, 500.0], [True, True, False, True])
    assert pitch_error(one, two) == pytest.approx(math.sqrt((30**2 + 40**2) / 2))
    assert voicing_score(one, two) == pytest.approx(2 * 2 / (3 + 3))
    silent = track([math.nan] * 4, [False] * 4)
    assert voicing_score(one, silent) == 0
    with pytest.raises(NoSpeechError, match="voiced in both"):
        pitch_error(one, silent)
    with pytest.raises(NoSpeechError, match="reference with voiced"):
        voicing_score(silent, one)


def test_of_a_recording_identity_is_perfect_and_tracked_once(monkeypatch):
    audio = read_audio(CLIPS / "LJ001-0016.flac")[0][:30001]
    tracked = []

    def tracking(samples, **options):
        tracked.append(len(samples))
        return pyin(samples, **options)

    pyin = librosa.pyin
    monkeypatch.setattr(librosa, "pyin", tracking)
    for _ in range(2):
        assert f0_error(audio, audio.clone(), 22050) == 0
        assert voicing_f1(audio, audio.clone(), 22050) == 1
    assert tracked == [30001]
    f0_error(audio, 0.5 * audio, 22050)
    assert tracked == [30001, 30001]


def test_silence_noise_and_other_shapes():
    tone = voice(150, seconds=0.5)
    noise = 0.1 * torch.randn(len(tone), generator=torch.Generator().manual_seed(0))
    for metric in (f0_error, voicing_f1):
        with pytest.raises(NoSpeechError, match="silence"):
            metric(tone, torch.zeros_like(tone), 22050)
        with pytest.raises(ValueError, match="the same shape"):
            metric(tone, tone[1:], 22050)
        with pytest.raises(NoSpeechError, match="voiced"):
            metric(noise, tone, 22050)
    assert voicing_f1(tone, noise, 22050) == 0
    with pytest.raises(NoSpeechError, match="voiced in both"):
        f0_error(tone, noise, 22050)

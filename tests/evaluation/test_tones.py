"""Tones in pauses: of known prominence, at the multiples alone, in pauses alone."""

from __future__ import annotations

import math

import pytest
import torch

from waveflow.evaluation import NoSpeechError, tone_prominence
from waveflow.evaluation.tones import WINDOW

RATE = 22050
GROUPS = 64
LEVEL = 1e-3
PAUSE = slice(0, 20 * RATE)


@pytest.fixture(scope="module")
def recording():
    """Twenty seconds of pause, white noise of a known level, and one second that is loud."""
    audio = LEVEL * torch.randn(21 * RATE, generator=torch.Generator().manual_seed(0))
    audio[20 * RATE :] *= 300
    return audio


def with_tone(audio, hertz, amplitude, where=PAUSE):
    time = torch.arange(len(audio), dtype=torch.float64) / RATE
    tone = (amplitude * torch.sin(2 * math.pi * hertz * time)).float()
    audio = audio.clone()
    audio[where] += tone[where]
    return audio


def test_noise_has_almost_none(recording):
    assert 0 < tone_prominence(recording, recording, RATE, groups=GROUPS) < 3


@pytest.mark.parametrize("multiple", [1, 7, 31])
@pytest.mark.parametrize("ratio", [0.1, 1.0])
def test_a_tone_has_its_closed_form(multiple, ratio, recording):
    amplitude = ratio * LEVEL
    audio = with_tone(recording, multiple * RATE / GROUPS, amplitude)
    expected = 10 * math.log10(1 + amplitude**2 * WINDOW / (6 * LEVEL**2))
    found = tone_prominence(recording, audio, RATE, groups=GROUPS)
    assert found == pytest.approx(expected, abs=1)


def test_tones_elsewhere_do_not_count(recording):
    quiet = tone_prominence(recording, recording, RATE, groups=GROUPS)
    between = with_tone(recording, 7.5 * RATE / GROUPS, LEVEL)
    assert tone_prominence(recording, between, RATE, groups=GROUPS) == pytest.approx(quiet, abs=0.3)
    assert tone_prominence(recording, between, RATE, groups=GROUPS * 2) > 20
    loud = with_tone(recording, RATE / GROUPS, 100 * LEVEL, slice(20 * RATE + WINDOW, None))
    assert tone_prominence(recording, loud, RATE, groups=GROUPS) == pytest.approx(quiet, abs=0.3)


def test_level_does_not_matter_and_silence_has_no_tones(recording):
    audio = with_tone(recording, RATE / GROUPS, LEVEL)
    full = tone_prominence(recording, audio, RATE, groups=GROUPS)
    assert tone_prominence(recording, 0.1 * audio, RATE, groups=GROUPS) == pytest.approx(full)
    audio[PAUSE] = 0
    audio[20 * RATE - WINDOW : 20 * RATE] = recording[20 * RATE - WINDOW : 20 * RATE]
    muted = audio.clone()
    muted[: 20 * RATE] = 0
    assert tone_prominence(recording, muted, RATE, groups=GROUPS) < 3


def test_what_cannot_be_judged_is_refused(recording):
    for groups in (2, 129, 256):
        with pytest.raises(ValueError, match=f"3 to 128 groups; got {groups}"):
            tone_prominence(recording, recording, RATE, groups=groups)
    steady = recording[:RATE]
    with pytest.raises(NoSpeechError, match="pause"):
        tone_prominence(steady, steady, RATE, groups=GROUPS)
    with pytest.raises(NoSpeechError, match="4096"):
        tone_prominence(steady[:4000], steady[:4000], RATE, groups=GROUPS)
    with pytest.raises(NoSpeechError, match="silence"):
        tone_prominence(steady, torch.zeros_like(steady), RATE, groups=GROUPS)
    with pytest.raises(ValueError, match="one shape"):
        tone_prominence(steady, steady[1:], RATE, groups=GROUPS)

"""PESQ and STOI, against what is known of them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from waveflow.audio import read_audio
from waveflow.evaluation import NoSpeechError, estoi, pesq_narrowband, pesq_wideband, stoi

SPEECH = Path(__file__).parents[2] / "data" / "clips" / "LJ001-0016.flac"
METRICS = [pesq_wideband, pesq_narrowband, stoi, estoi]


@pytest.fixture(scope="module")
def speech():
    return read_audio(SPEECH)[0][: 3 * 22050]


@pytest.fixture(scope="module")
def noise(speech):
    return torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))


def test_identity_is_perfect(speech):
    assert pesq_wideband(speech, speech, 22050) == pytest.approx(4.64, abs=0.01)
    assert pesq_narrowband(speech, speech, 22050) == pytest.approx(4.55, abs=0.01)
    assert stoi(speech, speech, 22050) == pytest.approx(1)
    assert estoi(speech, speech, 22050) == pytest.approx(1)


def test_more_noise_is_worse(speech, noise):
    noisy = [speech + level * noise for level in (0, 0.001, 0.01, 0.1)]
    for metric in METRICS:
        scores = [metric(speech, audio, 22050) for audio in noisy]
        assert scores == sorted(scores, reverse=True)
        assert len(set(scores)) == 4


def test_level_does_not_matter(speech, noise):
    noisy = speech + 0.01 * noise
    for metric in METRICS:
        full = metric(speech, noisy, 22050)
        assert metric(speech, 0.2 * noisy, 22050) == pytest.approx(full, abs=0.02)


def test_only_pesq_makes_up_for_a_delay(speech):
    late = speech.roll(441)
    assert pesq_wideband(speech, late, 22050) > 4.5
    assert pesq_narrowband(speech, late, 22050) > 4.4
    assert stoi(speech, late, 22050) < 0.8
    assert estoi(speech, late, 22050) < 0.8


def test_pesq_hears_what_16_khz_holds(speech):
    import soxr

    low = torch.from_numpy(soxr.resample(speech.numpy(), 22050, 16000))
    assert pesq_wideband(low, low, 16000) == pytest.approx(4.64, abs=0.01)


def test_narrow_band_is_deaf_above_4_khz(speech, noise):
    spectrum = torch.fft.rfft(noise)
    spectrum[: len(spectrum) * 9 // 22] = 0
    noisy = speech + 0.1 * torch.fft.irfft(spectrum, len(noise))
    assert pesq_narrowband(speech, noisy, 22050) > 4.5
    assert pesq_wideband(speech, noisy, 22050) < 2


def test_estoi_repeats_and_leaves_numpy_alone(speech, noise):
    noisy = speech + 0.1 * noise
    state = np.random.get_state()[1].tolist()
    assert estoi(speech, noisy, 22050) == estoi(speech, noisy, 22050)
    assert np.random.get_state()[1].tolist() == state


@pytest.mark.parametrize("metric", METRICS)
def test_silence_and_snippets_have_no_score(metric, speech):
    silence = torch.zeros_like(speech)
    for reference, degraded in ((silence, speech), (speech, silence), (silence, silence)):
        with pytest.raises(NoSpeechError, match="silence"):
            metric(reference, degraded, 22050)
    for length in (100, 3000):
        with pytest.raises(NoSpeechError):
            metric(speech[9000 : 9000 + length], speech[9000 : 9000 + length], 22050)


@pytest.mark.parametrize("metric", METRICS)
def test_other_shapes_and_nan_are_refused(metric, speech):
    with pytest.raises(ValueError, match="the same shape"):
        metric(speech, speech[1:], 22050)
    with pytest.raises(ValueError, match="the same shape"):
        metric(speech[None], speech[None], 22050)
    with pytest.raises(ValueError, match="finite"):
        metric(speech, speech * float("nan"), 22050)


@pytest.mark.parametrize(
    ("metric", "package"),
    [(pesq_narrowband, "pesq"), (estoi, "pystoi"), (pesq_wideband, "pesq"), (stoi, "pystoi")],
)
def test_missing_package_is_told_with_its_extra(metric, package, speech, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"waveflow\[evaluate\]"):
        metric(speech, speech, 22050)

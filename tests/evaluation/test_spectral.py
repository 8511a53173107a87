"""Spectral distances, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from tests.conftest import CLIPS
from waveflow.audio import read_audio
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.evaluation import (
    NoSpeechError,
    log_mel_distance,
    mel_cepstral_distortion,
    stft_distance,
)
from waveflow.evaluation.spectral import CEPSTRA, mel_cepstra

METRICS = [mel_cepstral_distortion, log_mel_distance, stft_distance]
DECIBELS = 10 / math.log(10)


@pytest.fixture(scope="module")
def recording():
    return read_audio(CLIPS / "LJ001-0016.flac")[0][: 2 * 22050]


@pytest.fixture(scope="module")
def noise():
    """Loud enough for no floor to matter."""
    return 0.1 * torch.randn(44100, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("metric", METRICS)
class Test_each:
    def test_is_0_for_identity(self, metric, recording):
        assert metric(recording, recording, 22050) == 0
        assert metric(recording, recording, 16000) == 0

    def test_grows_with_noise_and_with_a_delay(self, metric, recording, noise):
        scores = [metric(recording, recording + g * noise, 22050) for g in (0.001, 0.01, 0.1, 1)]
        assert scores == sorted(scores)
        assert scores[0] > 0
        delays = [metric(recording, recording.roll(n), 22050) for n in (1, 64, 512)]
        assert 0 < delays[0] < delays[1] < delays[2]

    def test_refuses_silence_snippets_and_other_shapes(self, metric, recording):
        with pytest.raises(NoSpeechError, match="silence"):
            metric(recording, torch.zeros_like(recording), 22050)
        with pytest.raises(NoSpeechError, match="samples"):
            metric(recording[9000:9300], recording[9000:9300], 22050)
        with pytest.raises(ValueError, match="the same shape"):
            metric(recording, recording[1:], 22050)
        with pytest.raises(ValueError, match="finite"):
            metric(recording, recording * math.nan, 22050)


@pytest.mark.parametrize("gain", [0.5, 0.9, 2.0])
def test_a_gain_is_its_logarithm_to_mels_and_nothing_to_cepstra(gain, noise):
    expected = abs(math.log(gain))
    assert log_mel_distance(noise, gain * noise, 22050) == pytest.approx(expected, rel=1e-3)
    assert mel_cepstral_distortion(noise, gain * noise, 22050) < 1e-3
    expected += abs(1 - gain)
    assert stft_distance(noise, gain * noise, 22050) == pytest.approx(expected, rel=1e-3)


def test_below_the_floor_nothing_differs():
    """White noise 120 dB below full scale is under the floors."""
    faint = 1e-6 * torch.randn(44100, generator=torch.Generator().manual_seed(0))
    assert log_mel_distance(faint, faint / 2, 22050) == pytest.approx(0, abs=1e-2)
    assert stft_distance(faint, faint / 2, 22050) == pytest.approx(0, abs=1e-9)


def test_sides_of_the_stft_distance_are_the_papers(noise):
    """Independent noise of the same level has S' of S's law: the distances are known integrals.

    Of two Rayleigh magnitudes: E (S - S')² / E S² = 2 - pi / 2; ln S - ln S' is logistic of scale
    1 / 2, with a mean absolute value of ln 2.
    """
    other = 0.1 * torch.randn(44100, generator=torch.Generator().manual_seed(1))
    expected = math.sqrt(2 - math.pi / 2) + math.log(2)
    assert stft_distance(noise, other, 22050) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("k", [1, 5, 13])
def test_cepstra_are_the_cosines_of_the_log_mel(k):
    bands = (torch.arange(80, dtype=torch.float64) + 0.5) / 80
    log_mel = (3 + 0.7 * torch.cos(math.pi * k * bands))[:, None].expand(80, 4)
    expected = torch.zeros(CEPSTRA, 4, dtype=torch.float64)
    expected[k - 1] = 0.7
    torch.testing.assert_close(mel_cepstra(log_mel), expected)


def test_distortion_is_that_of_a_known_filter(noise):
    """|1 + 0.9 exp(-i w)| at the bands, smoothed to 13 cosines, in dB, root mean square."""
    filtered = noise + 0.9 * noise.roll(1)
    config = MelConfig()
    hertz = torch.linspace(0, 11025, 513, dtype=torch.float64)
    gain = (1 + 0.9 * torch.exp(-2j * math.pi * hertz / 22050)).abs()
    filters = LogMel(config).filters.double()
    curve = ((filters @ gain) / filters.sum(1)).log()
    cosines = torch.cos(
        math.pi / 80 * torch.arange(14, dtype=torch.float64)[:, None] * (torch.arange(80) + 0.5)
    )
    fitted = torch.linalg.lstsq(cosines.T, curve[:, None]).solution[:, 0]
    smooth = cosines[1:].T @ fitted[1:]
    decibels = 20 * math.log10(math.e) * smooth.square().mean().sqrt().item()
    assert mel_cepstral_distortion(noise, filtered, 22050) == pytest.approx(decibels, rel=0.03)


def test_one_cosine_of_1_neper_is_6_decibels():
    assert DECIBELS * math.sqrt(2) == pytest.approx(6.142, abs=1e-3)
    bands = (torch.arange(80, dtype=torch.float64) + 0.5) / 80
    coefficient = mel_cepstra(torch.cos(math.pi * bands)[:, None])
    assert DECIBELS * (2 * coefficient.square().sum()).sqrt() == pytest.approx(6.142, abs=1e-3)

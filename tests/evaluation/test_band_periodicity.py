"""Band periodicity, against harmonics and noise of known powers."""

from __future__ import annotations

import math

import pytest
import torch

from tests.conftest import CLIPS
from waveflow.audio import read_audio, resample
from waveflow.evaluation import NoSpeechError, band_periodicity
from waveflow.evaluation.band_periodicity import BANDS, autocorrelation

RATE = 22050
WINDOW = torch.hann_window(768, dtype=torch.float64)
CENTRES = torch.arange(2000, 20000, 100)


def harmonics(hertz, *, rate=RATE, seconds=1.0):
    """Partials of one amplitude and random phases, up to the Nyquist frequency; power 1."""
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    count = int(rate / 2 / hertz)
    phases = torch.rand(count, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return sum(
        torch.sin(2 * math.pi * (k * hertz * time + phases[k - 1])) for k in range(1, count + 1)
    ) * math.sqrt(2 / count)


def noise(size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("hertz", "rate"), [(105, 22050), (210, 22050), (200, 16000)])
def test_harmonics_are_periodic_in_every_band(hertz, rate):
    tone = 0.1 * harmonics(hertz, rate=rate)
    figures = band_periodicity(tone, tone, rate)
    for (_, high), figure in zip(BANDS, figures, strict=True):
        if high > rate / 2:
            assert figure is None
        else:
            assert figure > 0.95


def test_white_noise_is_not(speech):
    """What is left is chance, which the search favours: more where few samples are independent."""
    reference = speech[0]
    hiss = 0.05 * noise(len(reference)).float()
    figures = band_periodicity(reference, hiss, RATE)
    assert all(abs(figure) < 0.35 for figure in figures[2:])
    assert figures[-1] < 0.2
    recorded = band_periodicity(reference, reference, RATE)
    assert all(one > other for one, other in zip(recorded, figures, strict=True))
    assert all(one > other + 0.2 for one, other in zip(recorded[:3], figures[:3], strict=True))


@pytest.mark.parametrize("part", [0.9, 0.6])
def test_a_mixture_gives_the_part_of_its_harmonics(part):
    """Power H of harmonics in N of noise, both white: H / (H + N), and some chance above it."""
    tone = harmonics(210)
    mixture = math.sqrt(part) * tone + math.sqrt(1 - part) * noise(len(tone))
    for low, figure in zip((0, 1, 2, 3, 4), band_periodicity(tone, mixture, RATE), strict=True):
        assert figure == pytest.approx(part, abs=0.12 if low < 2 else 0.07)


def test_an_octave_below_is_periodic_too_and_above_is_not():
    """A period of 210 Hz is two of 420 Hz, and half of one of 105 Hz."""
    tone, above, below = (harmonics(hertz) for hertz in (210, 420, 105))
    assert min(band_periodicity(tone, above, RATE)) > 0.9
    assert max(band_periodicity(tone, below, RATE)) < 0.7


def test_lags_are_searched_near_the_period_alone():
    tone = harmonics(210)
    period = RATE / 210

    def of(factor):
        periods = torch.full((len(CENTRES),), factor * period)
        return autocorrelation(tone, CENTRES, periods, WINDOW).mean().item()

    assert of(1) > 0.99
    assert of(1.03) > 0.99  # within the search
    assert of(1.25) < 0.3
    silence = autocorrelation(0 * tone, CENTRES, torch.full((len(CENTRES),), period), WINDOW)
    assert silence.abs().max() == 0


def test_level_does_not_matter_and_the_rate_hardly():
    audio, rate = read_audio(CLIPS / "LJ001-0016.flac")
    audio = audio[11000:33000]
    figures = band_periodicity(audio, audio, rate)
    assert band_periodicity(audio, 0.1 * audio, rate) == pytest.approx(figures, abs=1e-3)
    slower = resample(audio, rate, 16000)
    *four, none = band_periodicity(slower, slower, 16000)
    assert none is None
    assert tuple(four[:2]) == pytest.approx(figures[:2], abs=0.04)
    assert tuple(four[2:]) == pytest.approx(figures[2:4], abs=0.15)  # lags are whole samples


def test_nothing_voiced_is_told():
    tone = harmonics(210, seconds=0.5)
    with pytest.raises(NoSpeechError, match="silence"):
        band_periodicity(tone, 0 * tone, RATE)
    with pytest.raises(NoSpeechError, match="voiced"):
        band_periodicity(0.1 * noise(len(tone)), tone, RATE)
    with pytest.raises(ValueError, match="the same shape"):
        band_periodicity(tone, tone[1:], RATE)

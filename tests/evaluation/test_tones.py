"""Tones in pauses: of known prominence, at the multiples alone, in pauses alone."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.special import exp1

from tests.conftest import CLIPS
from waveflow.audio import read_audio
from waveflow.evaluation import NoSpeechError, PauseTones, pause_tones, tone_prominence
from waveflow.evaluation.tones import HOP, LEAST_FRAMES, WINDOW, _over_noise

RATE = 22050
GROUPS = 64
LEVEL = 1e-3
PAUSE = slice(0, 20 * RATE)


def noise(samples, seed, slope=0):
    """Noise of rms :data:`LEVEL`, its power falling as frequency to ``slope``, and a loud end."""
    generator = torch.Generator().manual_seed(seed)
    spectrum = torch.fft.rfft(torch.randn(samples, generator=generator, dtype=torch.float64))
    spectrum /= torch.arange(len(spectrum)).clamp_min(1) ** (slope / 2)
    audio = torch.fft.irfft(spectrum, n=samples)
    return torch.cat([LEVEL * audio / audio.std(), torch.ones(2 * WINDOW)])


def with_tone(audio, hertz, amplitude, where=PAUSE):
    time = torch.arange(len(audio), dtype=torch.float64) / RATE
    tone = amplitude * torch.sin(2 * math.pi * hertz * time)
    audio = audio.clone()
    audio[where] += tone[where]
    return audio


def prominence(reference, audio, groups=GROUPS):
    return tone_prominence([pause_tones(reference, audio, groups=groups)])


@pytest.fixture(scope="module")
def recording():
    """Twenty seconds of pause, white noise of a known level, and a loud end."""
    return noise(20 * RATE, seed=0)


@pytest.fixture(scope="module")
def speech():
    return [read_audio(path)[0] for path in sorted(CLIPS.glob("*.flac"))]


@pytest.mark.parametrize("groups", [8, GROUPS])
def test_recordings_have_none(groups, speech):
    assert -0.5 < tone_prominence(pause_tones(one, one, groups=groups) for one in speech) < 2.5


@pytest.mark.parametrize("slope", [0, 1])
@pytest.mark.parametrize(("frames", "most"), [(LEAST_FRAMES, 2.8), (440, 1.4)])
def test_noise_has_none(frames, most, slope):
    """99 of 100 draws are that much smaller than the artefact: the scatter says so, too."""
    samples = WINDOW + HOP * (frames - 1)
    draws = [noise(samples, seed, slope) for seed in range(50 if frames < 100 else 20)]
    tones = [pause_tones(draw, draw, groups=GROUPS) for draw in draws]
    assert abs(tones[0].frames - frames) <= 1
    assert max(tone_prominence([one]) for one in tones) < most
    scatter = torch.tensor([one.excess for one in tones])[:, 1:].std().item()
    assert scatter == pytest.approx(7.8 / math.sqrt(frames), rel=0.1)
    assert _over_noise(3.5 * scatter) < most


@pytest.mark.parametrize("groups", [8, 24, GROUPS, 100])
@pytest.mark.parametrize("decibels", [3, 6, 12, 25])
def test_a_tone_has_its_closed_form(decibels, groups, recording):
    """Between bins of the window, too; the error is chance's, and within 0.6 dB."""
    amplitude = LEVEL * math.sqrt((10 ** (decibels / 10) - 1) * 6 / WINDOW)
    for multiple in (1, (groups - 1) // 2):
        audio = with_tone(recording, multiple * RATE / groups, amplitude)
        assert prominence(recording, audio, groups) == pytest.approx(decibels, abs=0.6)


@pytest.mark.parametrize("groups", [8, GROUPS])
def test_a_tone_in_a_recordings_pauses_is_found(groups, speech):
    """12 dB over the level of each clip's noise; its level within a clip is not steady."""
    clips = []
    for one in speech:
        power = one.double().unfold(0, WINDOW, HOP).square().mean(1)
        quiet = one.double().unfold(0, WINDOW, HOP)[power <= power.max() * 10**-3.5]
        spectra = torch.fft.rfft(quiet * torch.hann_window(WINDOW)).abs().square() / (
            WINDOW * 3 / 8
        )
        place = 2 * WINDOW // groups
        levels = torch.cat(
            [spectra[:, place - 6 : place - 2], spectra[:, place + 3 : place + 7]], 1
        )
        density = (levels.log().mean() + 0.5772).exp().item()  # the mean of the noise, of its log's
        amplitude = math.sqrt((10**1.2 - 1) * 6 / WINDOW * density)
        audio = with_tone(one, 2 * RATE / groups, amplitude, slice(None))
        clips.append(pause_tones(one, audio, groups=groups))
    assert tone_prominence(clips) == pytest.approx(12.5, abs=1)


def test_mean_levels_become_mean_powers():
    for ratio in (0.01, 0.1, 0.5, 1, 2, 5, 20, 1e3, 1e6):
        excess = 10 * math.log10(math.e) * (math.log(ratio) + exp1(ratio) + 0.5772156649)
        assert _over_noise(excess) == pytest.approx(10 * math.log10(1 + ratio), abs=0.04)
    assert (_over_noise(-2.0), _over_noise(0.0)) == (-2, 0)


def test_clips_are_pooled_by_their_pauses():
    long, short = PauseTones(300, (6.0, 1.0)), PauseTones(100, (-2.0, 3.0))
    assert tone_prominence([long, short]) == _over_noise(4.0)
    assert tone_prominence([PauseTones(LEAST_FRAMES, (1.0,))]) == _over_noise(1.0)
    assert tone_prominence([PauseTones(LEAST_FRAMES - 1, (1.0,))]) is None
    assert tone_prominence([]) is None


def test_a_loud_clip_does_not_decide(recording):
    """As it would if powers were averaged; nor does a sound that comes and goes."""
    amplitude = LEVEL * math.sqrt((10**1.2 - 1) * 6 / WINDOW)
    audio = with_tone(recording, RATE / GROUPS, amplitude)
    expected = prominence(recording, audio)
    tones = [pause_tones(a * recording, a * audio, groups=GROUPS) for a in (1, 0.1)]
    assert tone_prominence(tones) == pytest.approx(expected, abs=0.1)
    short = with_tone(recording, RATE / GROUPS, 5 * LEVEL, slice(0, RATE // 4))
    assert prominence(recording, short) < 1.5


def test_tones_elsewhere_do_not_count(recording):
    quiet = prominence(recording, recording)
    between = with_tone(recording, 7.5 * RATE / GROUPS, LEVEL)
    assert prominence(recording, between) == pytest.approx(quiet, abs=0.3)
    assert prominence(recording, between, GROUPS * 2) > 20
    loud = with_tone(recording, RATE / GROUPS, 100 * LEVEL, slice(20 * RATE + WINDOW, None))
    assert prominence(recording, loud) == pytest.approx(quiet, abs=0.3)


def test_level_does_not_matter_and_silence_has_no_tones(recording):
    audio = with_tone(recording, RATE / GROUPS, LEVEL)
    full = prominence(recording, audio)
    assert prominence(recording, 0.1 * audio) == pytest.approx(full, abs=0.1)
    assert prominence(recording, 5e-4 * audio) < 1  # less than a quantum of 16 bits
    muted = audio.clone()
    muted[PAUSE] = 0
    assert prominence(recording, muted) == pytest.approx(0, abs=0.1)


def test_what_cannot_be_judged_is_refused(recording):
    for groups in (2, 129, 256):
        with pytest.raises(ValueError, match=f"3 to 128 groups; got {groups}"):
            pause_tones(recording, recording, groups=groups)
    steady = recording[:RATE]
    with pytest.raises(NoSpeechError, match="pause"):
        pause_tones(steady, steady, groups=GROUPS)
    with pytest.raises(NoSpeechError, match="1024"):
        pause_tones(steady[:1000], steady[:1000], groups=GROUPS)
    with pytest.raises(NoSpeechError, match="silence"):
        pause_tones(steady, torch.zeros_like(steady), groups=GROUPS)
    with pytest.raises(ValueError, match="the same shape"):
        pause_tones(steady, steady[1:], groups=GROUPS)

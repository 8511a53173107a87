"""Mel consistency: what it keeps, what it reaches, on both framings."""

from dataclasses import replace

import pytest
import torch

from tests.conftest import CLIPS
from waveflow.audio import MEL_CONVENTIONS, LogMel, MelConfig, MelConsistency, read_audio


@pytest.fixture(params=["hifigan-22k", "nvidia-22k", "nemo-hifigan-22k"])
def log_mel(request):
    return LogMel(MEL_CONVENTIONS[request.param])


@pytest.fixture(scope="module")
def speech():
    audio, _ = read_audio(CLIPS / "LJ001-0016.flac")
    return audio[None, : 256 * 120]


def mel_of(audio, log_mel):
    return log_mel(audio)[..., : audio.shape[1] // log_mel.config.hop_length]


def test_audio_whose_mel_is_right_stays(log_mel, speech):
    kept = MelConsistency(log_mel)(speech, mel_of(speech, log_mel), iterations=4)
    assert (kept - speech).abs().max() < 1e-5


def test_a_known_gain_is_undone(log_mel, speech):
    """Every band is wanting by the same factor, so one iteration is exact below the top band."""
    config = log_mel.config
    louder = MelConsistency(log_mel)(0.5 * speech, mel_of(speech, log_mel), iterations=1)
    frequency = torch.fft.rfftfreq(speech.shape[1], 1 / config.sample_rate)
    inside = (frequency > 100) & (frequency < 6000)
    got, expected = (torch.fft.rfft(audio)[:, inside] for audio in (louder, speech))
    error = (got - expected).abs().square().sum() / expected.abs().square().sum()
    assert error < 1e-4


def test_bins_that_no_band_sees_stay(log_mel, speech):
    config = log_mel.config
    seconds = torch.arange(speech.shape[1]) / config.sample_rate
    tone = 0.01 * torch.sin(2 * torch.pi * 9500 * seconds)[None]  # f_max is 8000
    after = MelConsistency(log_mel)(tone, mel_of(tone + 0.1 * speech, log_mel), iterations=3)
    spectrum = torch.fft.rfft(after * torch.hann_window(after.shape[1]))[0].abs()
    before = torch.fft.rfft(tone * torch.hann_window(after.shape[1]))[0].abs()
    peak = before.argmax()
    assert spectrum[peak] == pytest.approx(before[peak].item(), rel=1e-3)


def test_each_iteration_comes_nearer(log_mel, speech):
    mel = mel_of(speech, log_mel)
    noise = 0.05 * torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    consistency = MelConsistency(log_mel)
    distances = [
        (mel_of(consistency(noise, mel, iterations=n), log_mel) - mel).abs().mean().item()
        for n in (0, 1, 4, 16)
    ]
    assert all(
        later < 0.75 * earlier for earlier, later in zip(distances, distances[1:], strict=False)
    )


def test_examples_and_far_samples_do_not_mix(log_mel, speech):
    """An iteration sees n_fft - hop_length samples to each side, and its own example alone."""
    mel = mel_of(speech, log_mel)
    guess = 0.7 * speech
    other = guess.clone()
    other[:, :2560] *= -0.3
    consistency = MelConsistency(log_mel)
    one, two = consistency(torch.cat([guess, other]), torch.cat([mel, mel]), iterations=2)
    assert torch.allclose(one, consistency(guess, mel, iterations=2)[0], atol=1e-6)
    reach = 2 * (log_mel.config.n_fft - log_mel.config.hop_length)
    start = 2560 + reach
    assert torch.allclose(one[start:], two[start:], atol=1e-6)
    assert not torch.allclose(one[2560:start], two[2560:start], atol=1e-6)


@pytest.mark.parametrize(
    "config",
    [
        MelConfig(win_length=800),
        MelConfig(hop_length=250, n_fft=1000, win_length=700),
        MelConfig(hop_length=400, n_fft=900, win_length=800),
    ],
)
def test_windows_and_hops_that_divide_nothing(config, speech):
    log_mel = LogMel(config)
    audio = speech[:, : config.hop_length * 60]
    mel = log_mel(audio)
    consistency = MelConsistency(log_mel)
    assert (consistency(audio, mel, iterations=2) - audio).abs().max() < 1e-4
    noise = 0.05 * torch.randn(audio.shape, generator=torch.Generator().manual_seed(0))
    nearer = consistency(noise, mel, iterations=8)
    assert (log_mel(nearer) - mel).abs().mean() < 0.3 * (log_mel(noise) - mel).abs().mean()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames(log_mel, frames):
    mel = torch.full((2, 80, frames), -4.0)
    audio = 0.1 * torch.randn(2, 256 * frames)
    nearer = MelConsistency(log_mel)(audio, mel, iterations=3)
    assert nearer.shape == audio.shape
    assert nearer.isfinite().all()


def test_silence_is_silent(log_mel):
    mel = torch.full((1, 80, 40), torch.tensor(log_mel.config.clamp).log().item())
    noise = 0.05 * torch.randn(1, 256 * 40)
    quiet = MelConsistency(log_mel)(noise, mel, iterations=8)
    inner = slice(None, 256 * 36)  # a centred front end's last frame has no mel
    below = torch.fft.rfftfreq(256 * 36, 1 / log_mel.config.sample_rate) < 7500
    left, was = (torch.fft.rfft(audio[:, inner])[:, below] for audio in (quiet, noise))
    assert left.abs().square().sum() < 1e-4 * was.abs().square().sum()


def test_gradient(log_mel):
    config = replace(log_mel.config, n_fft=64, win_length=64, hop_length=16, n_mels=8)
    consistency = MelConsistency(LogMel(config).double()).double()
    audio = 0.1 * torch.randn(1, 128, dtype=torch.float64, requires_grad=True)
    mel = LogMel(config).double()(0.1 * torch.randn(1, 128, dtype=torch.float64))[..., :8]
    torch.autograd.gradcheck(lambda a: consistency(a, mel, iterations=2), audio)


def test_what_does_not_fit_is_refused(log_mel):
    consistency = MelConsistency(log_mel)
    mel = torch.full((1, 80, 8), -4.0)
    with pytest.raises(ValueError, match=r"audio: expected shape \(1, 2048\); got \(1, 2047\)"):
        consistency(torch.zeros(1, 2047), mel, iterations=1)
    with pytest.raises(ValueError, match="expected 0 or more iterations; got -1"):
        consistency(torch.zeros(1, 2048), mel, iterations=-1)
    audio = torch.randn(1, 2048)
    assert consistency(audio, mel, iterations=0) is audio

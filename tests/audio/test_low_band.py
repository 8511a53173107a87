"""Mel consistency of the low band: what it equals, what it leaves, where clips end."""

import copy
from dataclasses import replace

import pytest
import torch

from tests.audio.test_consistency import mel_of
from tests.conftest import CLIPS
from waveflow.audio import MEL_CONVENTIONS, LogMel, MelConfig, MelConsistency, read_audio
from waveflow.audio.bands import Bands
from waveflow.audio.consistency import Step
from waveflow.audio.low_band import low_bands
from waveflow.audio.resampling import Resampler

FACTORS = {
    "hifigan-22k": 4,
    "matcha-22k": 4,
    "nvidia-22k": 4,
    "bigvgan-22k-nyquist": 4,
    "bigvgan-24k": 4,
    "bigvgan-44k": 8,
    "nemo-fastpitch-22k": 4,
    "nemo-hifigan-22k": 4,
    "espnet-22k": 4,
    "espnet-24k": 4,
    "coqui-22k": 4,
    "coqui-22k-natural": 4,
    "vocos-24k": 4,
    "speecht5-16k": 2,
    "torchaudio-wavernn-22k": 1,
}


CONVENTION = {config: name for name, config in MEL_CONVENTIONS.items()}
"""A name of every front end; some conventions differ in more than the front end."""


@pytest.fixture(params=["hifigan-22k", "nvidia-22k", "nemo-hifigan-22k"])
def log_mel(request):
    return LogMel(MEL_CONVENTIONS[request.param])


@pytest.fixture(scope="module")
def speech():
    audio, _ = read_audio(CLIPS / "LJ001-0016.flac")
    return audio[None, 8192 : 8192 + 256 * 120]


def hoarse(speech):
    noise = torch.randn(speech.shape, generator=torch.Generator().manual_seed(0))
    return speech + 0.03 * noise.to(speech)


def decibels(error, signal):
    return 10 * torch.log10(error.square().sum() / signal.square().sum()).item()


def at_the_full_rate(log_mel, cutoff):
    """The iterations of the low band with masked gains and no other rate."""
    _, low = low_bands(log_mel, cutoff)
    filters = log_mel.filters[low.rows, : low.bins]
    config = log_mel.config
    bands = Bands(filters, rows=low.rows, floor=config.power_floor, clamp=config.clamp)
    bands.weights = low.weights
    return Step(log_mel.cutting, bands)


@pytest.mark.parametrize("name", MEL_CONVENTIONS)
def test_factors(name):
    factor, bands = low_bands(LogMel(MEL_CONVENTIONS[name]), 2200.0)
    assert factor == FACTORS.get(name, factor)
    assert bands.weights[:, -1].max() == 0  # the flank ends within


@pytest.mark.parametrize(
    ("config", "cutoff", "factor"),
    [
        (MelConfig(16000, n_fft=800, win_length=800, hop_length=200), 2200, 2),
        (MelConfig(16000, n_fft=800, win_length=800, hop_length=200), 1500, 4),
        (MelConfig(), 2400, 2),
        (MelConfig(), 6000, 1),
        (MelConfig(), 20000, 1),
        (MelConfig(), 100, 64),
        (MelConfig(n_fft=1025, win_length=1025, hop_length=255), 2200, 1),
        (MelConfig(n_mels=8), 2200, 2),
    ],
)
def test_factors_of_other_front_ends(config, cutoff, factor):
    assert low_bands(LogMel(config), cutoff)[0] == factor


def test_a_cut_off_above_all_is_none(speech):
    log_mel = LogMel(MelConfig())
    mel, guess = mel_of(speech, log_mel), hoarse(speech)
    low = MelConsistency(log_mel, cutoff=12000)(guess, mel, 3, 0)
    assert torch.equal(low, MelConsistency(log_mel)(guess, mel, 3))


def test_as_at_the_full_rate_with_masked_gains(log_mel, speech):
    mel, guess = mel_of(speech, log_mel), hoarse(speech)
    low = MelConsistency(log_mel)
    full = at_the_full_rate(log_mel, 2200.0)
    for iterations, limit in ((1, -85), (4, -85), (12, -40)):
        inner = slice(4096, -4096)  # the mirrors at the ends are half a sample apart
        expected = full(guess, mel.mT, iterations)[:, inner]
        got = low(guess, mel, iterations, 0)[:, inner]
        assert decibels(got - expected, expected) < limit - 15
        assert decibels(got - expected, expected - guess[:, inner]) < limit


def test_the_high_band_stays(log_mel, speech):
    mel, guess = mel_of(speech, log_mel), hoarse(speech)
    change = MelConsistency(log_mel)(guess, mel, 24, 0) - guess
    window = torch.hann_window(guess.shape[1])
    high = torch.fft.rfftfreq(guess.shape[1], 1 / log_mel.config.sample_rate) > 3200
    change, before = (torch.fft.rfft(audio * window)[0, high].abs() for audio in (change, guess))
    assert decibels(change, before) < -70


def test_each_iteration_comes_nearer_below_the_cut_off(log_mel, speech):
    mel, guess = mel_of(speech, log_mel), hoarse(speech)
    consistency = MelConsistency(log_mel)
    distances = [
        (mel_of(consistency(guess, mel, n, 0), log_mel) - mel)[:, :44].abs().mean().item()
        for n in (0, 1, 4, 16, 64)
    ]
    assert all(
        later < 0.75 * earlier for earlier, later in zip(distances, distances[1:], strict=False)
    )


def test_iterations_of_all_bins_come_first(log_mel, speech):
    mel, guess = mel_of(speech, log_mel), hoarse(speech)
    consistency = MelConsistency(log_mel)
    whole = consistency(guess, mel, 2)
    assert torch.equal(consistency(guess, mel, 2, full_band=5), whole)
    assert torch.equal(consistency(guess, mel, 5, 2), consistency(whole, mel, 3, 0))


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_few_frames(log_mel, frames):
    mel = torch.full((2, 80, frames), -4.0)
    audio = 0.1 * torch.randn(2, 256 * frames)
    nearer = MelConsistency(log_mel)(audio, mel, 6, 1)
    assert nearer.shape == audio.shape
    assert nearer.isfinite().all()


@pytest.mark.parametrize("config", CONVENTION, ids=CONVENTION.get)
@pytest.mark.parametrize("schedule", [(1500, None), (1500, 3)])
def test_clips_may_end_in_the_middle_of_speech(config, schedule, speech):
    """Without what mirrored samples ask for, the last ones grow with every iteration."""
    log_mel = LogMel(config)
    hop = log_mel.config.hop_length
    end = speech.shape[1] // hop // 3 * hop
    audio = speech[:, end - 16 * hop : end]  # an end sees a few frames
    mel = mel_of(audio, log_mel)
    after = MelConsistency(log_mel)(hoarse(audio), mel, *schedule)
    assert after.abs().max() < 2 * audio.abs().max()


ENDS = {
    **{
        f"{center}-{pad_mode}": MelConfig(center=center, pad_mode=pad_mode)
        for center in (False, True)
        for pad_mode in ("reflect", "constant")
    },
    "no-floor": MEL_CONVENTIONS["nemo-fastpitch-22k"],
    "long-hops": MelConfig(hop_length=400, n_fft=900, win_length=800, pad_mode="constant"),
    "short-window": replace(MEL_CONVENTIONS["espnet-24k"], pad_mode="constant"),
}


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("schedule", [(400, None), (1200, 3)], ids=["full band", "low band"])
def test_ends_stay_as_loud_as_the_recording(kind, schedule):
    """Also where a mel is of speech that goes on, which no clip that ends there can have."""
    log_mel = LogMel(ENDS[kind])
    hop = log_mel.config.hop_length
    recordings = [read_audio(CLIPS / f"LJ001-00{number}.flac")[0] for number in ("03", "15", "16")]
    starts = [(audio, start) for audio in recordings for start in (22000, 40000)]
    mels, loudest = [], []
    for beyond in (0, 6):  # frames of the recording that the mel sees and the clip does not have
        long = torch.stack([audio[start:][: (12 + 2 * beyond) * hop] for audio, start in starts])
        mels.append(log_mel(long)[..., beyond : beyond + 12])
        loudest.append(long.abs().amax(1))
    noise = torch.randn(len(starts), 12 * hop, generator=torch.Generator().manual_seed(0))
    after = MelConsistency(log_mel)(0.05 * noise.repeat(2, 1), torch.cat(mels), *schedule)
    louder = after[:, -log_mel.config.win_length :].abs().amax(1) / torch.cat(loudest)
    assert louder.max() < 2


def test_gradient(log_mel):
    sizes = {"n_fft": 256, "win_length": 256, "hop_length": 64, "n_mels": 8}
    config = replace(log_mel.config, sample_rate=5512, f_max=2700.0, **sizes)
    consistency = MelConsistency(LogMel(config).double(), cutoff=500.0).double()
    assert consistency.low.factor > 1
    audio = 0.1 * torch.randn(1, 256, dtype=torch.float64, requires_grad=True)
    mel = LogMel(config).double()(0.1 * torch.randn(1, 256, dtype=torch.float64))[..., :4]
    torch.autograd.gradcheck(lambda a: consistency(a, mel, 2, 1), audio, fast_mode=True)


def test_single_precision_within_autocast(log_mel, speech):
    mel, guess = mel_of(speech, log_mel), hoarse(speech)
    consistency = MelConsistency(log_mel)
    expected = consistency(guess, mel, 3, 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(consistency(guess, mel, 3, 1), expected)
    double = copy.deepcopy(consistency).double()(guess.double(), mel.double(), 3, 1)
    assert (double - expected).abs().max() < 1e-5
    assert not consistency.state_dict()


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
def test_down_and_up_again(factor):
    """What is well below the low rate's band comes back, what is above it is not heard."""
    hop, seconds = 48, torch.arange(4800 * factor).double()
    resampler = Resampler(factor, hop=hop, mirrors=True, like=torch.zeros(1, dtype=torch.float64))
    for share, gain in ((0.3, 1.0), (0.89, 1.0), (1.12, 0.0), (1.7, 0.0)):
        tone = torch.cos(torch.pi * share / factor * seconds + 1)[None]
        low = resampler.down(tone)
        assert low.shape == (1, 4800)
        level = low[:, 200:-200].square().mean().mul(2).sqrt()
        assert (level - gain).abs() < 2e-3
        back = resampler.up(low)[:, 1000:-1000]
        assert (back - gain * tone[:, 1000:-1000]).abs().max() < 2e-4


def test_what_does_not_fit_is_refused(log_mel):
    with pytest.raises(ValueError, match="expected a finite cutoff > 0; got 0"):
        MelConsistency(log_mel, cutoff=0)
    with pytest.raises(ValueError, match="expected full_band of 0 or more; got -1"):
        MelConsistency(log_mel)(torch.zeros(1, 2048), torch.full((1, 80, 8), -4.0), 1, -1)

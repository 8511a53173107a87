"""The mel front end against librosa and torchaudio on recordings; foreign mels refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from torch import Tensor

from waveflow.audio import MEL_CONVENTIONS, LogMel, MelConfig, check_mel, read_audio

CLIPS = sorted((Path(__file__).parents[2] / "data" / "clips").glob("*.flac"))
CONVENTIONS = ["hifigan-22k", "nvidia-22k"]

conventions = pytest.mark.parametrize("convention", CONVENTIONS)
clips = pytest.mark.parametrize("clip", CLIPS, ids=lambda clip: clip.stem)


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def padded(audio: Tensor, config: MelConfig) -> np.ndarray:
    edge = config.n_fft // 2 if config.center else 384
    return np.pad(audio.double().numpy(), edge, mode="reflect")


def by_librosa(audio: Tensor, config: MelConfig) -> Tensor:
    """The convention written out with librosa, in float64."""
    spectrum = librosa.stft(
        padded(audio, config), n_fft=1024, hop_length=256, win_length=1024, center=False
    )
    filters = librosa.filters.mel(
        sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000, dtype=np.float64
    )
    magnitude = np.sqrt(np.abs(spectrum) ** 2 + config.power_floor)
    return torch.from_numpy(np.log(np.maximum(filters @ magnitude, 1e-5)))


def by_torchaudio(audio: Tensor, config: MelConfig) -> Tensor:
    """The convention written out with torchaudio, in the default type."""
    transform = torchaudio.transforms.MelSpectrogram(
        22050,
        n_fft=1024,
        hop_length=256,
        n_mels=80,
        f_min=0.0,
        f_max=8000.0,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )
    power = transform.spectrogram(torch.from_numpy(padded(audio, config)).to(audio))
    return transform.mel_scale((power + config.power_floor).sqrt()).clamp_min(1e-5).log()


def small(convention: str) -> MelConfig:
    sizes = {"sample_rate": 8000, "n_fft": 64, "win_length": 64, "hop_length": 16}
    return replace(MEL_CONVENTIONS[convention], **sizes, n_mels=6, f_max=4000.0)


def test_the_conventions_are_those_of_the_projects_they_are_named_for() -> None:
    shared = (22050, 1024, 1024, 256, 80, 0.0, 8000.0)
    assert MEL_CONVENTIONS["hifigan-22k"] == MelConfig(*shared, False, 1e-9, 1e-5)
    assert MEL_CONVENTIONS["nvidia-22k"] == MelConfig(*shared, True, 0.0, 1e-5)
    assert MelConfig.named("nvidia-22k") is MEL_CONVENTIONS["nvidia-22k"]
    with pytest.raises(ValueError, match="hifigan-22k, nvidia-22k, .*; got 'whisper'"):
        MelConfig.named("whisper")


@clips
@conventions
def test_recordings_match_librosa_and_torchaudio(convention, clip, float64) -> None:
    config = MelConfig.named(convention)
    audio = read_audio(clip)[0].double()
    mel = LogMel(config)(audio[None])[0]
    assert mel.dtype == torch.float64
    torch.testing.assert_close(mel, by_librosa(audio, config), rtol=0, atol=1e-9)
    torch.testing.assert_close(mel, by_torchaudio(audio, config), rtol=0, atol=1e-9)


@clips
@conventions
def test_float32_is_as_near_as_float32_allows(convention, clip) -> None:
    """Rounding is relative to the loudest bin of a frame, so the quiet bands beside it suffer most.

    In magnitude the error is a few steps of float32 at the frame's loudest band, everywhere. In
    the logarithm that is less than 1e-4 down to 60 dB below it. (torchaudio rounds its filters
    too, so only the second is asked of it; in float64, above, all agree everywhere.)
    """
    config = MelConfig.named(convention)
    audio = read_audio(clip)[0]
    mel = LogMel(config)(audio[None])[0]
    assert mel.dtype == torch.float32
    mel, exact = mel.double(), by_librosa(audio, config)
    loudest = exact.amax(0)
    steps = (mel.exp() - exact.exp()).abs() / loudest.exp() / torch.finfo(torch.float32).eps
    assert steps.max() < 8
    near = exact > loudest - math.log(1e3)
    for other in (exact, by_torchaudio(audio, config).double()):
        torch.testing.assert_close(mel[near], other[near], rtol=0, atol=1e-4)


@pytest.mark.parametrize("samples", [2560, 2559, 2815, 1024])
@conventions
def test_frames_says_how_many_the_front_end_makes(convention, samples) -> None:
    config = MelConfig.named(convention)
    frames = samples // 256 + (1 if convention == "nvidia-22k" else 0)
    assert config.frames(samples) == frames
    assert LogMel(config)(torch.zeros(2, samples)).shape == (2, 80, frames)


@pytest.mark.parametrize(("convention", "place"), [("hifigan-22k", 128), ("nvidia-22k", 0)])
def test_a_click_is_loudest_in_the_frame_that_is_centred_on_it(convention, place) -> None:
    audio = torch.zeros(1, 5120)
    audio[0, 7 * 256 + place] = 1
    mel = LogMel(MelConfig.named(convention))(audio)
    assert mel.mean(1).argmax() == 7
    torch.testing.assert_close(mel[..., 6], mel[..., 8], rtol=0, atol=1e-3)


@conventions
def test_gradient_is_that_of_finite_differences(convention, float64) -> None:
    log_mel = LogMel(small(convention))
    audio = 0.3 * torch.randn(2, 96, generator=torch.Generator().manual_seed(0))
    assert log_mel(audio).min() > math.log(1e-5) + 1  # nothing clamped: every band has a gradient
    assert torch.autograd.gradcheck(log_mel, audio.requires_grad_())


@conventions
def test_gradient_of_silence_is_finite(convention) -> None:
    audio = torch.zeros(1, 5120)
    audio[:, 4000:] = 0.1 * torch.randn(1120, generator=torch.Generator().manual_seed(0))
    audio.requires_grad_()
    LogMel(MelConfig.named(convention))(audio).sum().backward()
    assert audio.grad is not None
    assert audio.grad.isfinite().all()
    assert audio.grad[:, :2000].eq(0).all()
    assert audio.grad[:, 4000:].abs().max() > 0


@conventions
def test_silence_is_the_logarithm_of_the_clamp(convention) -> None:
    mel = LogMel(MelConfig.named(convention))(torch.zeros(1, 5120))
    torch.testing.assert_close(mel, torch.full_like(mel, math.log(1e-5)))


@conventions
def test_a_batch_is_its_examples_one_by_one(convention) -> None:
    log_mel = LogMel(MelConfig.named(convention))
    batch = torch.stack([read_audio(clip)[0][20000:40000] for clip in CLIPS])
    single = torch.cat([log_mel(audio[None]) for audio in batch])
    torch.testing.assert_close(log_mel(batch), single, rtol=0, atol=1e-5)


def test_autocast_does_not_coarsen_the_mel() -> None:
    log_mel = LogMel(MelConfig())
    audio = read_audio(CLIPS[0])[0][None, :20000]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mel = log_mel(audio)
    assert mel.dtype == torch.float32
    torch.testing.assert_close(mel, log_mel(audio), rtol=0, atol=1e-5)


def test_nothing_is_saved_or_learned() -> None:
    log_mel = LogMel(MelConfig())
    assert not log_mel.state_dict()
    assert not list(log_mel.parameters())
    assert log_mel.double()(torch.zeros(1, 2560)).dtype == torch.float64


@pytest.mark.parametrize(
    ("convention", "hop_length", "shortest"),
    [("hifigan-22k", 256, 385), ("hifigan-22k", 1024, 1024), ("nvidia-22k", 256, 513)],
)
def test_audio_too_short_for_a_frame_is_refused(convention, hop_length, shortest) -> None:
    log_mel = LogMel(replace(MelConfig.named(convention), hop_length=hop_length))
    assert log_mel(torch.zeros(1, shortest)).shape[-1] >= 1
    with pytest.raises(ValueError, match=rf"at least {shortest} samples; got \(1, {shortest - 1}"):
        log_mel(torch.zeros(1, shortest - 1))


def test_audio_of_another_shape_or_type_is_refused() -> None:
    log_mel = LogMel(MelConfig())
    with pytest.raises(ValueError, match=r"shape \(batch, time\).*got \(2560,\)"):
        log_mel(torch.zeros(2560))
    with pytest.raises(ValueError, match=r"floating-point audio in \[-1, 1\]; got torch.int16"):
        log_mel(torch.zeros(1, 2560, dtype=torch.int16))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate": 0}, "sample_rate > 0; got 0"),
        ({"n_fft": -1}, "n_fft > 0; got -1"),
        ({"win_length": 0}, "win_length > 0; got 0"),
        ({"hop_length": 0}, "hop_length > 0; got 0"),
        ({"n_mels": 0}, "n_mels > 0; got 0"),
        ({"clamp": 0.0}, "clamp > 0; got 0.0"),
        ({"power_floor": -1e-9}, "power_floor >= 0; got -1e-09"),
        ({"win_length": 2048}, "win_length <= n_fft; got 2048 > 1024"),
        ({"win_length": 128}, "hop_length <= win_length .* got hop_length 256, win_length 128"),
        ({"hop_length": 255}, "n_fft - hop_length even; got hop_length 255"),
        ({"f_min": -1.0}, "0 <= f_min < f_max <= sample_rate / 2; got f_min -1.0"),
        ({"f_min": 8000.0}, "got f_min 8000.0, f_max 8000.0"),
        ({"f_max": 12000.0}, "got f_min 0.0, f_max 12000.0, sample_rate 22050"),
        ({"center": "centred"}, "center to be true or false; got 'centred'"),
        (
            {"center": True, "n_fft": 1025, "hop_length": 255},
            "an even n_fft to centre frames; got 1025",
        ),
    ],
)
def test_impossible_configs_are_refused(changes, message) -> None:
    with pytest.raises(ValueError, match=f"mel: expected .*{message}"):
        MelConfig(**changes)


def test_require_same_names_the_fields_that_differ() -> None:
    mine = MelConfig()
    mine.require_same(replace(mine))
    message = (
        "^mel convention differs: expected sample_rate 22050, center False; "
        "got sample_rate 24000, center True$"
    )
    with pytest.raises(ValueError, match=message):
        mine.require_same(replace(mine, sample_rate=24000, center=True))


@conventions
def test_check_mel_accepts_what_audio_makes(convention) -> None:
    log_mel = LogMel(MelConfig.named(convention))
    generator = torch.Generator().manual_seed(0)
    square = torch.ones(1, 20000).cumsum(1).mul(2 * math.pi / 100).sin().sign()
    loud = 2 * torch.rand(1, 20000, generator=generator) - 1
    speech = [read_audio(clip)[0][None] for clip in CLIPS]
    for audio in (*speech, square, loud, torch.zeros(1, 20000)):
        mel = log_mel(audio)
        assert mel.max() <= log_mel.loudest()
        check_mel(mel, log_mel)


def test_loudest_is_an_attainable_bound() -> None:
    log_mel = LogMel(MelConfig())
    tones = [2 * math.pi * hertz / 22050 for hertz in range(200, 8000, 200)]
    audio = torch.stack([torch.arange(2048).mul(tone).cos() for tone in tones])
    assert log_mel.loudest() - 2 < log_mel(audio).max() <= log_mel.loudest()


FOREIGN = {
    "integers": (lambda mel: mel.long(), "floating-point tensor; got torch.int64"),
    "numpy": (lambda mel: mel.numpy(), "floating-point tensor; got ndarray"),
    "bands": (lambda mel: mel[:, :64], r"shape \(batch, 80, frames\); got \(1, 64, \d+\)$"),
    "transposed": (lambda mel: mel.mT, r"got \(1, \d+, 80\); it looks transposed: pass mel.mT"),
    "no batch": (lambda mel: mel[0], r"shape \(batch, 80, frames\); got \(80, \d+\)$"),
    "no frames": (lambda mel: mel[..., :0], r"got \(1, 80, 0\)"),
    "empty batch": (lambda mel: mel[:0], r"got \(0, 80, \d+\)"),
    "NaN": (lambda mel: mel.where(mel > mel.min(), math.nan), "finite values; got NaN"),
    "infinity": (lambda mel: mel.where(mel < mel.max(), math.inf), "finite values; got NaN or inf"),
    "magnitudes": (lambda mel: mel.exp(), "natural-log .* got 0.0 to .* not logarithmic"),
    "decibels": (lambda mel: mel * 20 / math.log(10), r"natural-log values from -11.5 to 3.2; got"),
    "too quiet": (lambda mel: mel - 10, r"natural-log values from -11.5 to 3.2; got"),
    "too loud": (lambda mel: mel + 10, r"natural-log values from -11.5 to 3.2; got"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_check_mel_refuses_a_foreign_mel(kind) -> None:
    log_mel = LogMel(MelConfig())
    mel = log_mel(read_audio(CLIPS[0])[0][None])
    change, message = FOREIGN[kind]
    with pytest.raises(ValueError, match=f"mel: expected .*{message}"):
        check_mel(change(mel), log_mel)

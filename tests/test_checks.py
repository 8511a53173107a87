"""Arguments are checked, not converted, and say what was expected."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import SMALL, small_config
from waveflow import LogMel, MelConfig, Vocoder, VocoderConfig
from waveflow.audio import MelConsistency, read_audio, resample, write_audio
from waveflow.audio.mel_file import write_mel
from waveflow.config import MODELS, SynthesisConfig
from waveflow.evaluation import (
    gmacs_per_second,
    griffin_lim,
    log_mel_distance,
    noise_copy,
    pause_tones,
    stft_distance,
    stoi,
)
from waveflow.evaluation.local_likelihood import local_log_prob
from waveflow.inference.denoiser import Denoiser
from waveflow.interop.adapters import (
    AsCoqui,
    AsESPnet,
    AsHiFiGAN,
    AsNeMo,
    AsSpeechBrain,
    AsTorchaudio,
    AsTransformers,
    AsVocos,
    AsWaveGlow,
)
from waveflow.latents import interpolate, move, scale_band
from waveflow.noise import positional_noise, uniform_noise

MEL = torch.full((2, 4, 9), -6.0)
AUDIO = 0.1 * torch.ones(2, 144)

NOT_WHOLE = {
    "fraction": 0.7,
    "float": 1.0,
    "numpy float": np.float64(1.0),
    "tensor": torch.tensor(1.0),
    "text": "1",
    "truth": True,
    "numpy truth": np.bool_(True),
    "tensor of truth": torch.tensor(True),
    "nan": float("nan"),
    "list": [1],
}
WHOLE = {
    "python": 5,
    "numpy": np.int64(5),
    "unsigned": np.uint8(5),
    "tensor": torch.tensor(5),
    "array": np.array(5),
}
NOT_REAL = {"text": "0.5", "truth": True, "complex": 1j, "list": [0.5], "tensor": torch.ones(2)}
REAL = {
    "python": 0.5,
    "numpy": np.float32(0.5),
    "tensor": torch.tensor(0.5),
    "array": np.array(0.5),
}


@pytest.fixture(scope="module")
def small():
    return Vocoder(small_config("lapflow")).eval()


TAKES_WHOLE = {
    "seed": lambda v, x: v(MEL, seed=x),
    "seed of a stream": lambda v, x: list(v.stream(MEL[0].split(3, 1), seed=x)),
    "seed of an adapter": lambda v, x: AsHiFiGAN(v, seed=x)(MEL),
    "seed of noise": lambda v, x: positional_noise(x, 1, 4),
    "seed of uniform noise": lambda v, x: uniform_noise(x, torch.tensor([1]), 4),
    "seed of a denoiser": lambda v, x: Denoiser.of(v, seconds=0.1, takes=1, seed=x).bias,
    "seed of Griffin-Lim": lambda v, x: griffin_lim(MEL[0], v.config.mel, seed=x),
    "seed of a noise copy": lambda v, x: noise_copy(v, MEL, SynthesisConfig(), seed=x),
    "chunk": lambda v, x: v(MEL, seed=0, chunk=x),
    "consistency": lambda v, x: v(MEL, seed=0, consistency=x),
    "consistency of a stream": lambda v, x: list(v.stream([MEL[0]], seed=0, consistency=x)),
    "consistency of an adapter": lambda v, x: AsHiFiGAN(v, consistency=x)(MEL),
    "look-ahead": lambda v, x: v.look_ahead(consistency=x),
    "iterations": lambda v, x: MelConsistency(LogMel(v.config.mel))(AUDIO, MEL, x),
    "full band": lambda v, x: MelConsistency(LogMel(v.config.mel))(AUDIO, MEL, 6, x),
    "takes": lambda v, x: Denoiser.of(v, seconds=0.1, takes=x).bias,
    "first channel": lambda v, x: scale_band(torch.ones(8, 3), x, 8, 0.5),
    "last channel": lambda v, x: scale_band(torch.ones(8, 3), 0, x, 0.5),
    "lengths": lambda v, x: v(MEL, seed=0, lengths=[x, x]),
    "lengths of an adapter": lambda v, x: AsTorchaudio(v)(MEL, [x, x])[0],
}


@pytest.mark.parametrize("value", WHOLE)
@pytest.mark.parametrize("taker", TAKES_WHOLE)
def test_whole_numbers_of_all_kinds_are_taken(small, taker, value):
    found, expected = (TAKES_WHOLE[taker](small, x) for x in (WHOLE[value], 5))
    if isinstance(found, list):
        found, expected = torch.cat(found), torch.cat(expected)
    assert found == expected if isinstance(found, int) else torch.equal(found, expected)


@pytest.mark.parametrize("value", NOT_WHOLE)
@pytest.mark.parametrize("taker", TAKES_WHOLE)
def test_other_numbers_are_refused(small, taker, value):
    with pytest.raises(ValueError, match=r"expected .*whole number.*; got "):
        TAKES_WHOLE[taker](small, NOT_WHOLE[value])


@pytest.mark.parametrize(
    "lengths",
    [
        torch.tensor([1.0, 1.0]),
        torch.tensor([1.0, 0.5]),
        torch.tensor([True, True]),
        torch.ones(2, 9, dtype=torch.bool),
        torch.tensor(9),
        np.array([9.0, 4.0]),
        [9, 4.5],
        ["9", "4"],
        "94",
        9,
    ],
    ids=str,
)
def test_lengths_are_whole_numbers_of_frames(small, lengths):
    calls = [
        lambda: small(MEL, lengths=lengths),
        lambda: AsTorchaudio(small)(MEL, lengths),
        lambda: AsSpeechBrain(small).decode_batch(MEL, lengths),
    ]
    for call in calls:
        with pytest.raises(
            ValueError, match=r"expected .*whole numbers? as lengths, in frames; got"
        ):
            call()


@pytest.mark.parametrize(
    "lengths",
    [[9, 4], (9, 4), np.array([9, 4]), torch.tensor([9, 4]), torch.tensor([9, 4]).int()],
    ids=str,
)
def test_lengths_of_all_kinds(small, lengths):
    audio, samples = AsTorchaudio(small)(MEL, lengths)
    assert torch.equal(audio, small(MEL, seed=0, lengths=[9, 4]))
    assert samples.tolist() == [144, 64]


TAKES_REAL = {
    "temperature": lambda v, x: v(MEL, seed=0, temperature=x),
    "temperature of a stream": lambda v, x: torch.cat(
        list(v.stream([MEL[0]], seed=0, temperature=x))
    ),
    "temperature of an adapter": lambda v, x: AsHiFiGAN(v, temperature=x)(MEL),
    "sigma": lambda v, x: AsWaveGlow(v).infer(MEL, x),
    "strength": lambda v, x: Denoiser(torch.ones(17), v.config.mel)(AUDIO, strength=x),
    "seconds": lambda v, x: Denoiser.of(v, seconds=x, takes=1).bias,
    "fraction": lambda v, x: interpolate(MEL[0] + torch.arange(9), MEL[0], x),
    "factor": lambda v, x: scale_band(MEL[0], 0, 2, x),
    "amount": lambda v, x: move(MEL[0], MEL[1], x),
    "cutoff": lambda v, x: MelConsistency(LogMel(v.config.mel), cutoff=2e4 * x)(AUDIO, MEL, 2, 1),
    "seconds of work": lambda v, x: torch.tensor(
        gmacs_per_second(lambda: torch.ones(9, 9) @ torch.ones(9, 9), x)
    ),
}


@pytest.mark.parametrize("value", REAL)
@pytest.mark.parametrize("taker", TAKES_REAL)
def test_numbers_of_all_kinds_are_taken(small, taker, value):
    found, expected = (TAKES_REAL[taker](small, x) for x in (REAL[value], 0.5))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("value", NOT_REAL)
@pytest.mark.parametrize("taker", [taker for taker in TAKES_REAL if taker != "cutoff"])
def test_what_is_no_number_is_refused(small, taker, value):
    with pytest.raises(
        ValueError, match=r"expected (a number as .*|.* to be a finite number); got "
    ):
        TAKES_REAL[taker](small, NOT_REAL[value])


TAKES_TENSORS = {
    "mel": lambda v, x: v(x),
    "mel with lengths": lambda v, x: v(x, lengths=[9, 9]),
    "mel of a stream": lambda v, x: list(v.stream([x])),
    "mel to encode with": lambda v, x: v.encode(AUDIO, x),
    "mel to decode with": lambda v, x: v.decode(v.encode(AUDIO), x),
    "latent": lambda v, x: v.decode(x, MEL),
    "audio": lambda v, x: v.log_prob(x),
    "audio to encode": lambda v, x: v.encode(x),
    "audio of a mel": lambda v, x: v.mel(x),
    "audio of a front end": lambda v, x: LogMel(v.config.mel)(x),
    "audio of consistency": lambda v, x: MelConsistency(LogMel(v.config.mel))(x, MEL, 1),
    "mel of consistency": lambda v, x: MelConsistency(LogMel(v.config.mel))(AUDIO, x, 1),
    "audio of parts": lambda v, x: local_log_prob(v, x),
    "audio to denoise": lambda v, x: Denoiser(torch.ones(17), v.config.mel)(x),
    "noise to remove": lambda v, x: Denoiser.from_noise(x, v.config.mel),
    "bias": lambda v, x: Denoiser(x, v.config.mel),
    "audio to resample": lambda v, x: resample(x, 8000, 16000),
    "audio to write": lambda v, x: write_audio("/tmp/a.wav", x, 16000),
    "reference": lambda v, x: stoi(x, AUDIO[0], 16000),
    "degraded": lambda v, x: log_mel_distance(AUDIO[0], x, 16000),
    "both": lambda v, x: stft_distance(x, x, 16000),
    "mel of Griffin-Lim": lambda v, x: griffin_lim(x, v.config.mel),
    "mel of a noise copy": lambda v, x: noise_copy(v, x, SynthesisConfig()),
    "mel to write": lambda v, x: write_mel(Path("/tmp/a.npy"), x, v.config.mel),
    "latents": lambda v, x: interpolate(x, x, 0.5),
    "latent of a band": lambda v, x: scale_band(x, 0, 1, 0.5),
    "HiFi-GAN": lambda v, x: AsHiFiGAN(v)(x),
    "Coqui": lambda v, x: AsCoqui(v).inference(x),
    "SpeechBrain": lambda v, x: AsSpeechBrain(v).decode_batch(x),
    "SpeechBrain, one": lambda v, x: AsSpeechBrain(v).decode_spectrogram(x),
    "NeMo": lambda v, x: AsNeMo(v)(spec=x),
    "Vocos": lambda v, x: AsVocos(v).decode(x),
    "WaveGlow": lambda v, x: AsWaveGlow(v).infer(x),
    "transformers": lambda v, x: AsTransformers(v)(x),
    "ESPnet": lambda v, x: AsESPnet(v)(x),
    "torchaudio": lambda v, x: AsTorchaudio(v)(x),
}


@pytest.mark.parametrize("value", [MEL.numpy(), MEL.tolist(), None, "mel", 3], ids=type)
@pytest.mark.parametrize("taker", TAKES_TENSORS)
def test_what_is_no_tensor_is_refused(small, taker, value):
    if value is None and taker == "mel to encode with":
        pytest.skip("the mel of the audio itself")
    with pytest.raises(ValueError, match=r"expected .*; got .*(ndarray|list|NoneType|str|int)"):
        TAKES_TENSORS[taker](small, value)


def test_sample_rates_of_all_kinds(small, tmp_path):
    rate = np.int64(22050)
    write_audio(tmp_path / "a.wav", AUDIO[0], rate)
    audio, found = read_audio(tmp_path / "a.wav", sample_rate=np.int32(22050))
    assert (type(found), found, len(audio)) == (int, 22050, 144)
    assert len(resample(audio, rate, np.int64(11025))) == 72
    assert small.mel(AUDIO, sample_rate=rate).shape == MEL.shape
    for wrong in (22050.0, "22050", True, None, np.float32(22050)):
        with pytest.raises(ValueError, match="positive integer, in Hz; got "):
            write_audio(tmp_path / "a.wav", AUDIO[0], wrong)
    with pytest.raises(ValueError, match="whole number as groups"):
        pause_tones(AUDIO[0], AUDIO[0], groups=8.0)


@pytest.mark.parametrize("name", SMALL)
def test_configs_keep_pythons_numbers(name, tmp_path):
    """NumPy's come back as they are saved."""
    config = small_config(name)
    mel = MelConfig(
        np.int64(22050),
        np.int32(32),
        np.int64(32),
        np.int16(16),
        np.uint8(4),
        f_max=np.float32(8e3),
    )
    values = {
        key: np.int64(value) if type(value) is int else value
        for key, value in vars(config.model).items()
    }
    model = MODELS[name](**values)
    synthesis = SynthesisConfig(np.float32(0.5), np.int64(2), np.int64(1))
    assert (mel, model) == (config.mel, config.model)
    assert {type(value) for value in vars(model).values()} <= {int, float, bool}
    vocoder = Vocoder(VocoderConfig(model, mel, synthesis))
    vocoder.save_pretrained(tmp_path)
    assert Vocoder.from_pretrained(tmp_path).config == vocoder.config


@pytest.mark.parametrize("value", NOT_WHOLE)
@pytest.mark.parametrize("name", ["sample_rate", "n_fft", "win_length", "hop_length", "n_mels"])
def test_mel_configs_take_whole_numbers(name, value):
    with pytest.raises(ValueError, match=f"expected mel.{name} to be a whole number; got"):
        MelConfig(**{name: NOT_WHOLE[value]})


@pytest.mark.parametrize("value", NOT_REAL)
@pytest.mark.parametrize("name", ["f_min", "f_max", "power_floor", "clamp"])
def test_mel_configs_take_numbers(name, value):
    with pytest.raises(ValueError, match=f"expected mel.{name} to be a finite number; got"):
        MelConfig(**{name: NOT_REAL[value]})


@pytest.mark.parametrize("name", MODELS)
def test_model_configs_are_of_the_types_they_say(name):
    for wrong in NOT_WHOLE.values():
        with pytest.raises(ValueError, match="expected model.groups to be a whole number; got"):
            MODELS[name](groups=wrong)
    with pytest.raises(ValueError, match="expected model.causal to be true or false; got 'no'"):
        MODELS[name](causal="no")


@pytest.mark.parametrize("dtype", ["float16", torch.int8, torch.float8_e5m2, float], ids=str)
def test_weights_are_stored_in_types_that_load(small, tmp_path, dtype):
    with pytest.raises(ValueError, match="expected a dtype among torch.float16, .*; got "):
        small.save_pretrained(tmp_path, dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_configs_are_configs(small):
    values = small.config.to_dict()
    with pytest.raises(ValueError, match="expected a VocoderConfig; got <class 'dict'>"):
        Vocoder(values)
    with pytest.raises(ValueError, match="expected a MelConfig; got <class 'dict'>"):
        small(MEL, mel_config=values["mel"])

"""The public object, on the bundled weights and real speech."""

import math
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import waveflow
from tests.conftest import CLIPS, SMALL, randomise, small_config
from waveflow import MelConfig, Vocoder
from waveflow.audio import LogMel, MelConsistency, read_audio
from waveflow.config import SynthesisConfig


@pytest.fixture(params=SMALL)
def small(request):
    """A small vocoder of every model, off its initial state."""
    vocoder = Vocoder(small_config(request.param))
    return randomise(vocoder, 0.05).eval()


def mel_like(vocoder, batch, frames):
    return -5 + torch.randn(batch, vocoder.config.mel.n_mels, frames)


def test_audio_to_latent_and_back_through_the_bundled_model(ljspeech, speech):
    with torch.no_grad():
        z = ljspeech.encode(speech)
        audio = ljspeech.decode(z, ljspeech.mel(speech))
    assert z.shape == (1, 128, speech.shape[1] // 128)
    assert (audio - speech).abs().max() <= 1e-4


def test_bundled_likelihood_tells_speech_from_other_sound(ljspeech, speech):
    with torch.no_grad():
        mel = ljspeech.mel(speech)
        nats = ljspeech.log_prob(speech, mel) / speech.shape[1]
        backwards = ljspeech.log_prob(speech.flip(-1), mel) / speech.shape[1]
    assert nats > 4.0
    assert backwards < nats - 1


@pytest.mark.parametrize("clip", ["LJ001-0001", "LJ001-0003", "LJ001-0005"])
def test_bundled_model_speaks(ljspeech, clip):
    """The main job: recorded speech, mel, speech."""
    from waveflow.evaluation import pesq_wideband, stoi

    recorded, rate = read_audio(CLIPS / f"{clip}.flac")
    vocoded = ljspeech(ljspeech.mel(recorded[None]), seed=0)[0]
    recorded = recorded[: len(vocoded)]
    assert stoi(recorded, vocoded, rate) > 0.95
    assert pesq_wideband(recorded, vocoded, rate) > 2.8


@pytest.mark.parametrize(
    ("name", "millions", "megabytes", "least_pesq", "least_stoi"),
    [
        ("ljspeech-nano", 1.5, 3, 2.5, 0.94),
        ("ljspeech", 6, 12, 3.2, 0.97),
        ("ljspeech-hq", 6, 12, 3.8, 0.985),
    ],
)
def test_three_points_on_the_curve(name, millions, megabytes, least_pesq, least_stoi):
    from waveflow.evaluation import pesq_wideband, stoi

    vocoder = Vocoder.from_pretrained(name)
    assert sum(weight.numel() for weight in vocoder.parameters()) <= millions * 1e6
    folder = Path(waveflow.__file__).parent / "pretrained" / name
    assert (folder / "model.safetensors").stat().st_size <= megabytes * 1e6
    assert (folder / "README.md").is_file()
    recorded, rate = read_audio(CLIPS / "LJ001-0015.flac")
    vocoded = vocoder(vocoder.mel(recorded[None]), seed=0)[0]
    recorded = recorded[: len(vocoded)]
    assert pesq_wideband(recorded, vocoded, rate) > least_pesq
    assert stoi(recorded, vocoded, rate) > least_stoi


def test_what_is_synthesised_may_be_differentiated_through(small):
    audio = small(mel_like(small, 1, 8), seed=0)
    assert not audio.requires_grad
    gain = torch.ones((), requires_grad=True)
    (gain * audio).square().sum().backward()
    assert gain.grad is not None


def test_synthesis_is_the_flow_and_then_mel_consistency(ljspeech, speech):
    mel = ljspeech.mel(speech)
    sample = ljspeech(mel, seed=0, temperature=0.5, consistency=0)
    nearer = ljspeech(mel, seed=0, temperature=0.5, consistency=3)
    by_hand = MelConsistency(LogMel(ljspeech.config.mel))(sample, mel, iterations=3)
    assert torch.allclose(nearer, by_hand, atol=1e-6)
    own = ljspeech.config.synthesis
    assert own.consistency > 0
    explicit = ljspeech(mel, seed=0, temperature=own.temperature, consistency=own.consistency)
    assert torch.equal(ljspeech(mel, seed=0), explicit)


def test_a_vocoder_without_the_section_gives_the_flows_own_sample(small):
    assert small.config.synthesis == SynthesisConfig(temperature=1.0, consistency=0)
    mel = mel_like(small, 1, 8)
    assert torch.equal(small(mel, seed=2), small(mel, seed=2, temperature=1.0, consistency=0))


@pytest.mark.parametrize("value", [{"temperature": -0.1}, {"consistency": -1}])
def test_no_synthesis_below_zero(small, value):
    ((name, number),) = value.items()
    with pytest.raises(ValueError, match=f"{name} of 0 or more; got {number}"):
        small(mel_like(small, 1, 8), **value)


def test_no_more_iterations_than_a_config_has(small):
    with pytest.raises(ValueError, match="consistency of at most 10000; got 10001"):
        small(mel_like(small, 1, 8), consistency=10_001)


def test_what_is_given_leaves_the_other_fields():
    own = SynthesisConfig(0.6, consistency=64, full_band=3, cutoff=1800.0)
    assert own.override(consistency=2) == SynthesisConfig(0.6, 2, 3, 1800.0)
    assert own.override(temperature=0.0).schedule == (3, 61)
    assert own.override(consistency=2).schedule == (2, 0)
    assert SynthesisConfig(consistency=5).schedule == (5, 0)


def test_lengths_and_latents_of_every_model(small):
    audio = 0.1 * torch.randn(2, 96)
    mel = small.mel(audio)
    assert mel.shape == (2, 4, 6)
    assert small(mel, seed=1).shape == audio.shape
    z = small.encode(audio, mel)
    assert (small.decode(z, mel) - audio).abs().max() < 1e-4
    assert torch.allclose(small.log_prob(audio), small.log_prob(audio, mel))


def test_every_model_learns_from_likelihood(small):
    small.train()
    audio = 0.1 * torch.randn(4, 96)
    optimizer = torch.optim.Adam(small.parameters(), lr=1e-2)
    before = small.log_prob(audio).mean().item()
    for _ in range(20):
        optimizer.zero_grad()
        (-small.log_prob(audio).mean() / 96).backward()
        optimizer.step()
    assert small.log_prob(audio).mean().item() > before + 5


def test_noise_depends_on_seed_example_and_position_alone(small):
    mel = mel_like(small, 1, 8).expand(3, -1, -1)
    audio = small(mel, seed=3)
    assert torch.equal(small(mel, seed=3), audio)
    assert not torch.allclose(small(mel, seed=4), audio)
    assert not torch.allclose(audio[0], audio[1])
    assert torch.allclose(small(mel[:2], seed=3), audio[:2], atol=1e-5)
    z_long = small.encode(audio, mel)
    short = small(mel[:, :, :4], seed=3)
    z_short = small.encode(short, mel[:, :, :4])
    assert torch.allclose(z_short, z_long[..., : z_short.shape[-1]], atol=1e-3)


def test_without_a_seed_torch_decides(small):
    mel = mel_like(small, 1, 4)
    torch.manual_seed(1)
    first = small(mel)
    assert not torch.equal(small(mel), first)
    torch.manual_seed(1)
    assert torch.equal(small(mel), first)


def test_temperature(small):
    mel = mel_like(small, 1, 4)
    calm = small.encode(small(mel, temperature=0.5, seed=0), mel)
    full = small.encode(small(mel, temperature=1.0, seed=0), mel)
    assert torch.allclose(2 * calm, full, atol=1e-3)
    with pytest.raises(ValueError, match="temperature of 0 or more; got -1"):
        small(mel, temperature=-1)


def test_likelihood_is_the_change_of_variables():
    vocoder = randomise(Vocoder(small_config("glow")), 0.05).double().eval()
    audio = 0.1 * torch.randn(1, 48, dtype=torch.float64)
    mel = vocoder.mel(audio).detach()
    jacobian = torch.autograd.functional.jacobian(
        lambda flat: vocoder.encode(flat[None], mel).flatten(), audio[0]
    )
    z = vocoder.encode(audio, mel)
    expected = -0.5 * (z.square() + math.log(2 * math.pi)).sum()
    expected = expected + torch.linalg.slogdet(jacobian).logabsdet
    assert abs(vocoder.log_prob(audio, mel) - expected) < 1e-8


def test_centred_mels_lose_their_last_frame():
    config = small_config("nice").to_dict()
    config["mel"]["center"] = True
    vocoder = Vocoder(type(small_config("nice")).from_dict(config))
    audio = 0.1 * torch.randn(1, 96)
    assert vocoder.mel(audio).shape[-1] == 7
    assert vocoder.encode(audio).numel() == 96


def test_misfitting_mels_are_refused(ljspeech):
    good = torch.full((1, 80, 4), -6.0)
    ljspeech(good, seed=0)
    for mel, message in [
        (good[0], r"shape \(batch, 80, frames\); got \(80, 4\)"),
        (good.mT, "transposed"),
        (good[:, :40], r"got \(1, 40, 4\)"),
        (good.long(), "floating-point tensor; got torch.int64"),
        (good.exp(), "not logarithmic"),
        (good * 10, "natural-log values"),
        (good * float("nan"), "finite"),
        (good[..., :0], r"got \(1, 80, 0\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            ljspeech(mel)
    with pytest.raises(ValueError, match="expected sample_rate 22050; got sample_rate 24000"):
        ljspeech(good, mel_config=MelConfig(sample_rate=24000))
    with pytest.raises(ValueError, match="sample rate of 22050 Hz; got 48000"):
        ljspeech.mel(torch.zeros(1, 4000), sample_rate=48000)


def test_misfitting_audio_and_latents_are_refused(ljspeech):
    with pytest.raises(ValueError, match=r"multiple of 256 samples.*audio\[..., :2048\]"):
        ljspeech.encode(torch.zeros(1, 2100))
    with pytest.raises(ValueError, match=r"expected 1 x 8 frames.*got 1 x 7"):
        ljspeech.log_prob(torch.zeros(1, 2048), torch.full((1, 80, 7), -6.0))
    with pytest.raises(ValueError, match=r"\(batch, time\)"):
        ljspeech.mel(torch.zeros(4000))
    with pytest.raises(ValueError, match="NaN"):
        ljspeech.log_prob(torch.full((1, 2048), float("nan")))
    with pytest.raises(ValueError, match="256 samples; got 400: it is too short"):
        ljspeech.log_prob(torch.zeros(1, 400))
    with pytest.raises(ValueError, match=r"latent: expected shape \(1, 128, 8\)"):
        ljspeech.decode(torch.zeros(1, 128, 15), torch.full((1, 80, 4), -6.0))


def test_save_and_load(small, tmp_path):
    small.save_pretrained(tmp_path / "model")
    loaded = Vocoder.from_pretrained(tmp_path / "model")
    assert loaded.config == small.config
    mel = mel_like(small, 1, 4)
    assert torch.equal(loaded(mel, seed=0), small(mel, seed=0))
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "config.yaml",
        "model.safetensors",
    ]


def test_half_precision_storage_loads_as_float32(tmp_path):
    Vocoder(small_config("glow")).save_pretrained(tmp_path, dtype=torch.float16)
    vocoder = Vocoder.from_pretrained(tmp_path)
    assert all(parameter.dtype == torch.float32 for parameter in vocoder.parameters())


def test_unusable_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="bundled name .*ljspeech.*; got nobody"):
        Vocoder.from_pretrained("nobody")
    with pytest.raises(FileNotFoundError, match=r"expected a folder with config\.yaml"):
        Vocoder.from_pretrained(tmp_path)
    Vocoder(small_config("nice")).save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    good = weights.read_bytes()

    weights.write_bytes(good[: len(good) // 2])
    with pytest.raises(ValueError, match="damaged"):
        Vocoder.from_pretrained(tmp_path)

    weights.write_bytes(good)
    config = yaml.safe_load((tmp_path / "config.yaml").read_text())
    for change, message in [({"channels": 8}, "do not fit"), ({"chanels": 8}, "chanels")]:
        changed = {**config, "model": {**config["model"], **change}}
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(changed))
        with pytest.raises(ValueError, match=message):
            Vocoder.from_pretrained(tmp_path)

    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    tensors = load_file(weights)
    next(iter(tensors.values())).fill_(float("nan"))
    save_file(tensors, weights)
    with pytest.raises(ValueError, match="NaN"):
        Vocoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("scale", [1000.0, 2**15 - 1, 2.0**31, 1e30])
def test_samples_of_another_scale_are_no_fault_of_a_mel(scale, ljspeech, speech):
    for work in (ljspeech.log_prob, ljspeech.encode):
        with pytest.raises(ValueError, match=r"^audio: expected samples in \[-1, 1\]; got a peak"):
            work(scale * speech)
        with pytest.raises(ValueError, match=r"^mel: "):
            work(speech, scale * ljspeech.mel(speech))

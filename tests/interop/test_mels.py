"""Every mel convention against the arithmetic of the project that speaks it, on a recording."""

import math
import os
import warnings
from dataclasses import replace
from itertools import starmap
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
import torchaudio
from torch.nn import functional

from tests.conftest import TINY
from waveflow import LogMel, MelConfig, Vocoder, VocoderConfig
from waveflow.audio import MelWarning, read_audio
from waveflow.cli import main
from waveflow.demo.reading import conventions
from waveflow.interop.adapters import AsHiFiGAN
from waveflow.interop.convention import MelConvention
from waveflow.interop.mels import CONVENTIONS, convention, convert, differing, exact_between
from waveflow.io.markdown import markdown_table
from waveflow.pretrained.card import model_card

CLIP = Path(__file__).parents[2] / "data" / "clips" / "LJ001-0015.flac"
PAGE = Path(__file__).parents[2] / "docs" / "mel_conventions.md"
SIGNS = {
    "sample_rate": "r",
    "n_fft": "n",
    "win_length": "w",
    "hop_length": "h",
    "n_mels": "b",
    "f_min": "l",
    "f_max": "u",
    "center": "c",
    "scale": "s",
    "norm": "a",
    "window": "v",
    "pad_mode": "p",
}
PAIRS = [(source, target) for source in CONVENTIONS for target in CONVENTIONS]


def recording(rate):
    return read_audio(CLIP, sample_rate=rate)[0].double().numpy()


def by_hifigan(
    rate=22050, n_fft=1024, hop=256, bands=80, top=8000.0, pad_mode="reflect", floor=1e-9
):
    """meldataset.py: padding by hand, then frames that are not centred."""
    audio, side = recording(rate), (n_fft - hop) // 2
    padded = np.pad(audio, (side, side), mode=pad_mode)
    symmetric = pad_mode == "constant"  # NeMo's window
    window = torch.hann_window(n_fft, periodic=not symmetric, dtype=torch.float64)
    spectrum = torch.stft(
        torch.from_numpy(padded), n_fft, hop, n_fft, window, center=False, return_complex=True
    )
    magnitude = torch.sqrt(torch.view_as_real(spectrum).pow(2).sum(-1) + floor)
    basis = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=bands, fmin=0, fmax=top, dtype=np.float64
    )
    return torch.from_numpy(basis) @ magnitude


def by_librosa(rate, low, high, n_fft=1024, win=1024, hop=256, bands=80, **scale):
    spectrum = librosa.stft(
        recording(rate), n_fft=n_fft, hop_length=hop, win_length=win, pad_mode="reflect"
    )
    basis = librosa.filters.mel(
        sr=rate, n_fft=n_fft, n_mels=bands, fmin=low, fmax=high, dtype=np.float64, **scale
    )
    return basis @ np.abs(spectrum)


def by_torchaudio(rate, low, high, n_fft=1024, win=1024, hop=256):
    transform = torchaudio.transforms.MelSpectrogram(
        rate,
        n_fft=n_fft,
        win_length=win,
        hop_length=hop,
        f_min=low,
        f_max=high,
        n_mels=80,
        power=1,
        norm="slaney",
        mel_scale="slaney",
    ).double()
    return transform(torch.from_numpy(recording(rate)))


def nemo_fastpitch():
    spectrum = torch.stft(
        torch.from_numpy(recording(22050)),
        n_fft=1024,
        hop_length=256,
        win_length=1024,
        center=True,
        window=torch.hann_window(1024, periodic=False, dtype=torch.float64),
        return_complex=True,
        pad_mode="constant",
    )
    basis = librosa.filters.mel(sr=22050, n_fft=1024, n_mels=80, fmin=0, fmax=8000, norm="slaney")
    return torch.log(torch.from_numpy(basis).double() @ spectrum.abs() + 1e-5)


def coqui():
    decibels = 20 * np.log10(np.maximum(1e-8, by_librosa(22050, 0, 11025)))
    normalised = (decibels - 20 + 100) / 100
    return np.clip(2 * 4 * normalised - 4, -4, 4)


def speecht5():
    transformers = pytest.importorskip("transformers")
    extract = transformers.SpeechT5FeatureExtractor()
    return extract(audio_target=recording(16000), sampling_rate=16000)["input_values"][0]


def log10(mel):
    return np.log10(np.maximum(1e-10, mel)).T


INDEPENDENT = {
    "hifigan-22k": lambda: by_hifigan().clamp_min(1e-5).log(),
    "matcha-22k": lambda: (by_hifigan().clamp_min(1e-5).log() + 5.536622) / 2.116101,
    "nvidia-22k": lambda: by_torchaudio(22050, 0, 8000).clamp_min(1e-5).log(),
    "bigvgan-22k-nyquist": lambda: by_hifigan(top=11025).clamp_min(1e-5).log(),
    "bigvgan-24k": lambda: by_hifigan(24000, bands=100, top=12000).clamp_min(1e-5).log(),
    "bigvgan-44k": lambda: by_hifigan(44100, 2048, 512, 128, 22050).clamp_min(1e-5).log(),
    "nemo-fastpitch-22k": nemo_fastpitch,
    "nemo-hifigan-22k": lambda: by_hifigan(pad_mode="constant", floor=0).clamp_min(1e-5).log(),
    "torchaudio-wavernn-22k": lambda: (
        by_torchaudio(22050, 40, 11025, 2048, 1100, 275).clamp_min(1e-5).log()
    ),
    "espnet-22k": lambda: log10(by_librosa(22050, 80, 7600)),
    "espnet-24k": lambda: log10(by_librosa(24000, 80, 7600, 2048, 1200, 300)),
    "coqui-22k": coqui,
    "coqui-22k-natural": lambda: np.log(np.maximum(1e-8, by_librosa(22050, 0, 8000))),
    "speecht5-16k": speecht5,
    "vocos-24k": lambda: np.log(
        np.maximum(1e-7, by_librosa(24000, 0, 12000, bands=100, htk=True, norm=None))
    ),
}


@pytest.fixture(scope="module")
def spoken():
    """What every convention makes of the recording."""
    torch.set_default_dtype(torch.float64)
    try:
        return {
            name: each.write(
                LogMel(each.front_end)(
                    torch.from_numpy(recording(each.front_end.sample_rate))[None]
                )
            )[0]
            for name, each in CONVENTIONS.items()
        }
    finally:
        torch.set_default_dtype(torch.float32)


def test_every_convention_is_checked():
    assert set(INDEPENDENT) == set(CONVENTIONS)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_convention_is_that_of_its_project(name, spoken):
    values = torch.as_tensor(INDEPENDENT[name]()).double()
    assert values.shape == spoken[name].shape
    # the filters of torchaudio and of NeMo, and all of SpeechT5, are single precision, which shows
    # in bands that are nearly empty, as above the band of a recording that was resampled
    error = (values - spoken[name]).abs().flatten()
    assert error.mean() < 5e-4
    assert error.quantile(0.998) < 2e-3


@pytest.mark.parametrize("name", CONVENTIONS)
def test_reading_undoes_writing(name, spoken):
    each = CONVENTIONS[name]
    log_mel = each.read(spoken[name])
    assert (each.write(log_mel) - spoken[name]).abs().max() < 1e-9
    assert log_mel.shape[0] == each.front_end.n_mels


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=[" to ".join(pair) for pair in PAIRS])
def test_every_pair_is_converted_exactly_or_refused(source, target, spoken):
    fields = differing(source, target)
    if fields:
        with pytest.raises(ValueError, match=f"{source} cannot become {target}: .*{fields[0]}"):
            convert(spoken[source], source, target)
        for field in fields:
            mine = getattr(CONVENTIONS[source].front_end, field)
            assert mine != getattr(CONVENTIONS[target].front_end, field)
        return
    converted = CONVENTIONS[target].read(convert(spoken[source], source, target))
    asked = CONVENTIONS[target].read(spoken[target])
    low, high = exact_between(source, target)
    inside = (asked > low) & (asked < high)
    assert inside.double().mean() > 0.8
    # a floor under the power adds less than itself to a band: 1.5e-6 of HiFi-GAN's
    bound = 1e-9 + math.exp(low) * (-asked[inside]).exp() * _floors_differ(source, target)
    assert ((converted - asked)[inside].abs() <= bound).all()


def _floors_differ(source, target):
    one, other = CONVENTIONS[source].front_end, CONVENTIONS[target].front_end
    return one.power_floor != other.power_floor


def matrix():
    names = list(CONVENTIONS)
    lines = ["| | " + " | ".join(str(place) for place in range(1, len(names) + 1)) + " |"]
    lines.append("| --- |" + " :-: |" * len(names))
    for place, source in enumerate(names, 1):
        cells = []
        for target in names:
            fields = differing(source, target)
            done = "=" if source == target else "**→**"
            cells.append("".join(SIGNS[field] for field in fields) or done)
        lines.append(f"| {place} `{source}` | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def table():
    heads = ["name", "used by", "rate, Hz", "FFT / window / hop", "bands", "range, Hz"]
    heads += ["`scale`, `norm`", "`center`, `pad_mode`, `window`", "values"]
    return markdown_table(heads, starmap(row, CONVENTIONS.items()), left=heads[:2] + heads[6:])


def row(name, each):
    config = each.front_end
    return (
        f"`{name}`",
        each.used_by,
        config.sample_rate,
        f"{config.n_fft} / {config.win_length} / {config.hop_length}",
        config.n_mels,
        f"{config.f_min:g}–{config.f_max:g}",
        f"{config.scale}, {config.norm}",
        f"{config.center}, {config.pad_mode}, {config.window}".lower(),
        values(each),
    )


def values(each):
    """The form of values, and what bounds them."""
    parts = [formula(each), f"clamp {each.front_end.clamp:g}"]
    if each.front_end.power_floor:
        parts.append(f"power + {each.front_end.power_floor:g}")
    if (each.low, each.high) != (-math.inf, math.inf):
        parts.append(f"cut to {each.low:g} … {each.high:g}")
    return ", ".join(parts) + "; frames first" * each.frames_first


def formula(each):
    """(logarithm - mean) / deviation."""
    if isinstance(each.gain, tuple) or isinstance(each.offset, tuple):
        return "normalised band by band"
    decimal = math.isclose(each.gain * math.log(10), round(each.gain * math.log(10), 3))
    factor, log = (math.log(10), r"\log_{10}") if decimal else (1, r"\ln")
    text = rf"{log} (m + \text{{{each.guard:g}}})" if each.guard else f"{log} m"
    if each.offset:
        text = f"({text} {each.offset / each.gain / factor:+.7g})"
    deviation = f"{1 / (each.gain * factor):.7g}"
    return f"${text}$" if deviation == "1" else f"${text} / {deviation}$"


def test_the_page_shows_the_tables():
    """``WAVEFLOW_WRITE_DOCS=1 pytest tests/interop/test_mels.py`` writes them again."""
    page = PAGE.read_text()
    for name, text in (("table", table()), ("matrix", matrix())):
        start, end = f"<!-- the {name} begins -->\n", f"<!-- the {name} ends -->\n"
        before, _, rest = page.partition(start)
        _, _, after = rest.partition(end)
        page = f"{before}{start}\n{text.strip()}\n\n{end}{after}"
    if os.environ.get("WAVEFLOW_WRITE_DOCS"):
        PAGE.write_text(page)
    assert PAGE.read_text() == page


def test_one_row_makes_a_convention(monkeypatch, tmp_path):
    """A row of the table is all that a new convention needs outside its arithmetic here."""
    fresh = MelConvention(
        MelConfig(clamp=1e-4), gain=20 / math.log(10), frames_first=True, used_by="a new project"
    )
    monkeypatch.setitem(CONVENTIONS, "fresh", fresh)

    assert MelConfig.named("fresh") == MelConfig.from_plain("fresh") == fresh.front_end
    vocoder = Vocoder(VocoderConfig.from_dict({"model": TINY, "mel": "fresh"})).eval()
    vocoder.save_pretrained(tmp_path / "model")
    card = model_card(vocoder.config, name="me/mine", parameters=1)
    assert "These values are those of `fresh`." in card

    log_mel = LogMel(fresh.front_end)
    mel = log_mel(log_mel.whole_hops(read_audio(CLIP)[0])[None])
    theirs = fresh.write(mel)
    for target in ("hifigan-22k", "matcha-22k"):
        converted = convert(theirs, "fresh", target)
        assert torch.allclose(converted, CONVENTIONS[target].write(mel), atol=1e-5)
        assert torch.allclose(convert(converted, target, "fresh"), theirs, atol=1e-4)
    with pytest.raises(ValueError, match="fresh cannot become nvidia-22k: center False"):
        convert(theirs, "fresh", "nvidia-22k")
    for name in (MelConfig.named, convention):
        with pytest.raises(ValueError, match="among hifigan-22k, .*, fresh; got 'whisper'"):
            name("whisper")

    speech = vocoder(mel, seed=0, temperature=0.1)
    adapter = AsHiFiGAN(vocoder, convention="fresh", seed=0, temperature=0.1)
    assert torch.allclose(adapter(theirs.mT)[:, 0], speech, atol=1e-4)
    npy, wav, model = (str(tmp_path / name) for name in ("fresh.npy", "fresh.wav", "model"))
    assert main(["mel", str(CLIP), "-o", npy, "--convention", "fresh"]) == 0
    assert np.abs(np.load(npy) - theirs[0].numpy()).max() < 1e-4
    how = ["--model", model, "--convention", "fresh", "--temperature", "0.1"]
    assert main(["vocode", npy, "-o", wav, *how]) == 0
    assert (read_audio(wav)[0] - speech[0].clamp(-1, 1)).abs().max() < 2**-14

    assert ("fresh: a new project", "fresh") in conventions()
    assert "| `fresh` | a new project | 22050 | 1024 / 1024 / 256 | 80 | 0–8000 |" in table()
    assert " `fresh` | **→** | c | **→** | u |" in matrix()


def test_normalisation_by_statistics():
    """As in ParallelWaveGAN's stats.h5 and SpeechT5's vocoder: one mean, one scale a band."""
    torch.manual_seed(0)
    mean, scale = torch.randn(80).double() - 2, torch.rand(80).double() + 0.5
    plain = CONVENTIONS["espnet-22k"]
    normalised = plain.normalised(mean.tolist(), scale.tolist())
    values = torch.randn(50, 80).double() - 2
    back = convert((values - mean) / scale, normalised, plain)
    assert (back - values).abs().max() < 1e-12
    again = convert(values, plain, normalised)
    assert (again - (values - mean) / scale).abs().max() < 1e-12
    with pytest.raises(ValueError, match="expected one gain or 80 of them; got 3"):
        plain.normalised([0.0, 0.0, 0.0], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="does not cut its values"):
        CONVENTIONS["coqui-22k"].normalised(0.0, 1.0)


def test_a_batch_and_its_axes():
    mel = torch.randn(3, 17, 80) - 2
    assert convert(mel, "espnet-22k", CONVENTIONS["espnet-22k"].front_end).shape == (3, 80, 17)
    with pytest.raises(ValueError, match=r"\(batch, frames, 80\) .*; got \(3, 80, 17\)"):
        convert(mel.mT, "espnet-22k", "espnet-22k")
    with pytest.raises(ValueError, match="got torch|got ndarray|got list"):
        convert(mel.tolist(), "espnet-22k", "espnet-22k")


def test_an_unknown_convention_is_refused_with_those_that_are_known():
    with pytest.raises(ValueError, match="among hifigan-22k, .*; got 'whisper'"):
        convert(torch.zeros(80, 5), "whisper", "hifigan-22k")


def test_a_difference_that_the_caller_takes_upon_himself(spoken):
    """NeMo's window differs from NVIDIA's by a thousandth, which is heard by nobody."""
    with pytest.raises(ValueError, match="window hann_symmetric, expected hann; pad_mode constant"):
        convert(spoken["nemo-fastpitch-22k"], "nemo-fastpitch-22k", "nvidia-22k")
    mel = convert(
        spoken["nemo-fastpitch-22k"],
        "nemo-fastpitch-22k",
        "nvidia-22k",
        allow=("window", "pad_mode"),
    )
    inner = (mel - spoken["nvidia-22k"])[:, 3:-3].abs()
    assert inner.median() < 0.01
    assert inner.quantile(0.99) < 0.1


@pytest.mark.parametrize("name", CONVENTIONS)
def test_values_of_another_convention_are_noticed(name, spoken):
    """Handed to a vocoder of hifigan-22k as if they were its own."""
    vocoder = Vocoder.from_pretrained("ljspeech-nano")
    mel = spoken[name].float()[None]
    config = CONVENTIONS[name].front_end
    natural = replace(CONVENTIONS[name], guard=0.0, used_by="") == MelConvention(config)
    if natural and (config.n_mels, config.norm) == (80, "slaney"):  # no statistics tell them apart
        vocoder(mel, seed=0)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises((ValueError, MelWarning), match="mel: "):
            vocoder(mel, seed=0)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_speech_raises_no_doubt_in_its_own_convention(name, spoken):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert(spoken[name], name, name)


def test_doubtful_values_are_told(spoken):
    plain = MelConvention(MelConfig())
    with pytest.warns(MelWarning, match="decimal logarithms, or normalised"):
        convert(spoken["hifigan-22k"] / math.log(10), plain, "hifigan-22k")
    with pytest.warns(MelWarning, match="decibels"):
        convert(spoken["hifigan-22k"] * 20 / math.log(10), plain, "hifigan-22k")
    with pytest.warns(MelWarning, match="filters without area normalisation"):
        convert(spoken["hifigan-22k"] + 4, plain, "hifigan-22k")


def test_the_sound_of_a_converted_mel_is_that_of_the_vocoders_own(spoken):
    vocoder = Vocoder.from_pretrained("ljspeech-nano")
    own = functional.pad(spoken["hifigan-22k"], (0, 0)).float()[None]
    mel = convert(spoken["matcha-22k"].float()[None], "matcha-22k", vocoder.config.mel)
    sound, other = vocoder(own, seed=0), vocoder(mel, seed=0)
    assert (sound - other).abs().max() < 1e-3

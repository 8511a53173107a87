"""What no honest file has is refused, in a line and before memory is asked for."""

import io
import struct
import zipfile

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.conftest import CLIPS, TINY, small_config
from waveflow import MODELS, Vocoder, VocoderConfig
from waveflow.audio import read_audio
from waveflow.audio.mel_file import mel_frames, read_mel
from waveflow.io.yaml import read_yaml
from waveflow.pretrained.limits import most_weights, require_affordable


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("model", "channels", 10**9),
        ("model", "layers", 10**9),
        ("model", "flows", 10**9),
        ("model", "layers", 40),
        ("model", "kernel_size", 2**31),
        ("model", "context_channels", 10**6),
        ("mel", "n_mels", 10**9),
        ("mel", "n_fft", 2**30),
        ("mel", "clamp", float("nan")),
        ("mel", "power_floor", float("inf")),
        ("synthesis", "consistency", 10**9),
        ("synthesis", "full_band", 10**9),
        ("synthesis", "full_band", -1),
        ("synthesis", "cutoff", float("inf")),
        ("synthesis", "cutoff", 0.0),
    ],
)
def test_sizes_that_nobody_has(section, field, value):
    config = VocoderConfig.from_dict({"model": {"name": "lapflow"}}).to_dict()
    config[section][field] = value
    with pytest.raises(ValueError, match=rf"expected .*{field}"):
        Vocoder(VocoderConfig.from_dict(config))


def test_sizes_that_are_too_much_together():
    config = {"name": "lapflow", "channels": 8192, "layers": 20, "flows": 50}
    with pytest.raises(ValueError, match="parameters of this config to be at most 1073741824"):
        Vocoder(VocoderConfig.from_dict({"model": config}))


def test_more_weights_than_the_file_has_bytes(tmp_path):
    Vocoder(VocoderConfig.from_dict({"model": TINY})).save_pretrained(tmp_path)
    large = {**TINY, "channels": 4096, "layers": 4}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": large}))
    with pytest.raises(
        ValueError, match=r"model\.safetensors: expected the weights of config\.yaml"
    ):
        Vocoder.from_pretrained(tmp_path)


def test_a_config_that_makes_no_vocoder_is_named(tmp_path):
    Vocoder(VocoderConfig.from_dict({"model": TINY})).save_pretrained(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"model": {**TINY, "channels": 0}}))
    with pytest.raises(
        ValueError, match=r"config\.yaml: expected model\.channels to be at least 1"
    ):
        Vocoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", MODELS)
def test_the_bound_of_parameters_is_one_and_a_close_one(name):
    for config in (VocoderConfig.from_dict({"model": {"name": name}}), small_config(name)):
        count = sum(weight.numel() for weight in Vocoder(config).parameters())
        assert count <= most_weights(config) <= 16 * count


def test_the_largest_that_are_known_are_allowed():
    """WaveGlow as published, 512 channels: 268 million parameters."""
    config = VocoderConfig.from_dict({"model": {"name": "waveglow", "channels": 512}})
    assert 250e6 < most_weights(config)
    require_affordable(config)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [1]\nb: *a\n", r"an alias"),
        ("[" * 10_000, "more than 32 levels"),
        ("a: " + "9" * 5000, "a number of 5000 digits"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("# " + "x" * 2**20, "at most 1048576 bytes"),
        (b"\xff\xfe\xff", "expected YAML"),
        ("a: !!timestamp x", "expected YAML"),
        ("a: 2001-99-99", "expected YAML"),
    ],
)
def test_yaml_that_is_no_config(tmp_path, text, message):
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": {"name": ["nice"]}}, "model.name"),
        ({"model": {"name": "nice", 1: 2}}, "expected string keys; got 1"),
        ({"model": {"name": "nice"}, "mel": 5}, "keys and values in mel; got 5"),
        ({"model": {"name": "nice", "groups": 2**63}}, "at most 64 bits"),
        ({"model": {"name": "nice", "groups": None}}, "a value for model.groups; got none"),
    ],
)
def test_values_that_are_no_config(values, message):
    with pytest.raises(ValueError, match=message):
        VocoderConfig.from_dict(values)


def test_an_empty_section_has_its_defaults():
    config = VocoderConfig.from_dict({"model": {"name": "nice"}, "mel": None})
    assert config == VocoderConfig.from_dict({"model": {"name": "nice"}})


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
def test_archives_that_unfold_to_a_thousand_times_their_size(tmp_path, kind):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (80, 2**18)}
    )
    with zipfile.ZipFile(tmp_path / "mel.npz", "w", kind) as archive:
        archive.writestr("mel.npy", header.getvalue() + bytes(80 * 2**20))
    for read in (read_mel, mel_frames):
        with pytest.raises(ValueError, match="unpack to|compression"):
            read(tmp_path / "mel.npz")


def test_compressed_mels_are_read(tmp_path):
    mel = np.full((80, 100_000), -11.5, np.float32)  # 20 minutes of silence
    np.savez_compressed(tmp_path / "mel.npz", mel=mel)
    assert read_mel(tmp_path / "mel.npz")[0].shape == (1, 80, 100_000)


@pytest.mark.parametrize("rate", [22050, 1, 655350])
def test_flac_that_promises_a_billion_samples(tmp_path, rate):
    samples, _ = soundfile.read(CLIPS / "LJ001-0016.flac", frames=4000, dtype="int16")
    path = tmp_path / "a.flac"
    soundfile.write(path, samples, 22050)
    content = bytearray(path.read_bytes())
    content[18:26] = struct.pack(">Q", rate << 44 | 15 << 36 | 2**33)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.flac: expected a recording; got \d+ bytes"):
        read_audio(path)


def test_hours_of_silence_are_read(tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(16_000_000, np.int16), 8000)
    assert read_audio(tmp_path / "a.flac")[0].shape == (16_000_000,)


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float8_e4m3fn, torch.complex64])
def test_weights_of_another_type(tmp_path, kind):
    Vocoder(small_config("nice")).save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    name = next(name for name, value in weights.items() if value.is_floating_point())
    save_file({**weights, name: weights[name].to(kind)}, path)
    with pytest.raises(ValueError, match=rf"expected {name} as torch.float32; got {kind}"):
        Vocoder.from_pretrained(tmp_path)

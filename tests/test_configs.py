"""Configs: what is impossible is refused where it is made, by name, and what is made also runs."""

import json
import math
import shutil
from dataclasses import asdict, fields, replace
from typing import get_type_hints

import numpy as np
import pytest
import torch
import yaml

from tests.conftest import MEL, ROOT, SMALL, TINY
from waveflow import MODELS, MelConfig, Vocoder, VocoderConfig
from waveflow.audio.mel_file import read_mel, write_mel
from waveflow.cli import main
from waveflow.config import SynthesisConfig
from waveflow.interop.mels import convert
from waveflow.training.config import (
    ComputeConfig,
    DataConfig,
    OptimizerConfig,
    RunConfig,
    TrainingConfig,
)
from waveflow.training.shard_cache import ShardFile
from waveflow.training.shard_index import INDEX, ShardIndex

SECTIONS = [
    *MODELS.values(),
    MelConfig,
    SynthesisConfig,
    DataConfig,
    OptimizerConfig,
    ComputeConfig,
    RunConfig,
]
NUMBERS = [
    (section, one)
    for section in SECTIONS
    for one in fields(section)
    if get_type_hints(section)[one.name] in (int, float, int | None)
]
numbers = pytest.mark.parametrize(
    ("section", "one"), NUMBERS, ids=[f"{s.__name__}.{one.name}" for s, one in NUMBERS]
)
sections = pytest.mark.parametrize("section", SECTIONS)


def plain(section, values):
    """A recipe with such a section, in plain values."""
    recipe = {"model": {"name": "nice"}}
    if section.section == "model":
        values = {"name": section.name, **values}
    return {**recipe, section.section: values}


def refused(section, name, value):
    """From Python and from plain values alike, by the field's path."""
    for make in (
        lambda: section(**{name: value}),
        lambda: TrainingConfig.from_dict(plain(section, {name: value})),
    ):
        with pytest.raises(ValueError, match=rf"expected .*\b{section.section}\.{name}\b.*; got"):
            make()


@numbers
def test_every_number_has_a_range(section, one):
    limits = one.metadata["range"]
    assert -math.inf < limits.low < limits.high < math.inf
    assert limits.low <= (limits.low if one.default is None else one.default) <= limits.high
    wrong = [math.nan, math.inf, -math.inf, True, "many", [1], limits.high * 2]
    wrong += [limits.low - 1] if limits.low > -1 else []
    wrong += [0.0] if limits.above else []
    wrong += [1.5, 8.0] if "int" in one.type else []
    wrong += [] if one.default is None else [None]
    for value in wrong:
        if value is None or one.name not in ("f_min", "f_max") or not isinstance(value, float):
            with pytest.raises(ValueError, match=rf"\b{section.section}\.{one.name}\b"):
                section(**{one.name: value})
        refused_anyhow(section, one.name, value)


def refused_anyhow(section, name, value):
    with pytest.raises(ValueError, match=name):
        TrainingConfig.from_dict(plain(section, {name: value}))


@sections
def test_other_fields_are_of_their_types(section):
    for one in fields(section):
        if "range" not in one.metadata:
            for value in (object(), 3, 1.5):
                refused(section, one.name, value)


def test_numbers_of_numpy_become_pythons_own():
    data = DataConfig(batch_size=np.int64(3), cache_gigabytes=np.float32(0.5))
    assert (type(data.batch_size), type(data.cache_gigabytes)) == (int, float)
    mel = MelConfig(sample_rate=np.int64(22050), f_max=np.int32(7000))
    assert mel == MelConfig(f_max=7000.0)
    assert yaml.safe_load(yaml.safe_dump(vars(mel))) == vars(mel)
    assert VocoderConfig.from_dict({"model": TINY}).synthesis.override(
        consistency=np.int32(2)
    ) == SynthesisConfig(consistency=2)


def test_numbers_that_yaml_takes_for_texts_are_read():
    values = yaml.safe_load("optimizer: {learning_rate: 1e-4, max_steps: '7'}")
    assert isinstance(values["optimizer"]["learning_rate"], str)
    recipe = TrainingConfig.from_dict({"model": {"name": "nice"}, **values})
    assert (recipe.optimizer.learning_rate, recipe.optimizer.max_steps) == (1e-4, 7)


FAULTS = """\
model: {name: lapflow, groups: 48, layers: 0, channels: many}
mel: {n_mels: 0, f_min: -1, clamp: .nan, win_length: 4096}
data: {batch_size: 0, workers: true, segment_frames: 1.5, lists: a.txt}
optimizer: {clip_norm: -1, beta1: 1, learning_rate: .inf}
compute: {precision: 16-mixed, accumulate:}
synthesis: {consistency: 100000}
run: {seed: -1, loggers: [tensorbord]}
speed: {fast: yes}
"""
NAMES = """model.layers model.channels mel.n_mels f_min mel.clamp win_length data.batch_size
data.workers data.segment_frames data.lists optimizer.clip_norm optimizer.beta1
optimizer.learning_rate compute.precision compute.accumulate synthesis.consistency run.seed
run.loggers 'speed'""".split()


def test_all_faults_of_a_file_are_told_together(tmp_path, capsys):
    path = tmp_path / "recipe.yaml"
    path.write_text(FAULTS)
    with pytest.raises(ValueError, match=r"recipe\.yaml: expected") as caught:
        TrainingConfig.from_yaml(path)
    assert [name for name in NAMES if name not in str(caught.value)] == []
    arguments = ["train", path, "--data", tmp_path / "none", "--out", tmp_path / "run"]
    assert main([str(argument) for argument in arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"waveflow: error: {caught.value}"


def test_sections_that_do_not_fit_are_told_with_the_faults_of_others():
    with pytest.raises(ValueError, match="model.groups") as caught:
        TrainingConfig.from_dict(
            {
                "model": {"name": "lapflow", "groups": 48},
                "data": {"batch_size": 6},
                "compute": {"accumulate": 4},
                "run": {"seed": -1},
            }
        )
    for text in ("run.seed of 0", "to divide mel.hop_length 256; got 48", "accumulate 4; got 6"):
        assert text in str(caught.value)


def small(name, model=None, mel=None, synthesis=None):
    """Plain values of a small vocoder with some of them changed."""
    own = {"name": name, "channels": 6, "layers": 2, **SMALL[name]}
    if name != "waveglow":
        own |= {"context_channels": 5, "context_layers": 1}
    return {
        "model": {**own, **(model or {})},
        "mel": {**MEL, **(mel or {})},
        "synthesis": {"consistency": 3, "full_band": 1, **(synthesis or {})},
    }


TRIED = {
    "groups": (1, 2, 3, 4, 6, 12, 16, 32),
    "whitening_groups": (2, 3, 6, 12, 32),
    "block": (1, 3, 16, 32),
    "kernel_size": (1, 2, 5),
    "context_kernel_size": (1, 2, 7),
    "lowest_pitch": (60.0, 3600.0, 3675.0, 4000.0),
    "highest_pitch": (1580.0, 5000.0, 11025.0, 50000.0),
    "long_term": (False,),
    "layers": (1, 3),
    "context_layers": (0, 2),
    "flows": (0, 1, 4),
    "scales": (1, 3, 4),
    "levels": (1, 3, 4),
    "early_every": (1, 9),
    "early_size": (1, 3, 4, 9),
    "upsampler_kernel_size": (1, 15, 16, 17),
    "causal": (True,),
    "swap_odd": (True,),
}
TRIED_MELS = {
    "hop_length": (8, 12, 15, 32),
    "n_fft": (31, 33, 48, 64),
    "win_length": (15, 16, 20),
    "sample_rate": (8000, 15999, 16000, 48000),
    "f_min": (7999.0, 8000.0),
    "f_max": (1.0, 300.0, 11025.0, 12000.0),
    "n_mels": (1, 10, 40),
    "clamp": (1e-300, 1e-30, 0.1, 0.5),
    "power_floor": (0.0, 1e-3),
    "norm": ("none",),
    "scale": ("htk",),
    "pad_mode": ("constant",),
    "window": ("hann_symmetric",),
}
CASES = [
    (name, {"model": {field: value}})
    for name, config in MODELS.items()
    for field, values in TRIED.items()
    for value in values
    if field in config.__dataclass_fields__
]
OF_MODELS = ("hop_length", "sample_rate", "n_mels")
"""What models see of a mel; the rest is of the mel alone, and tried with one model a framing."""
CASES += [
    (name, {"mel": {field: value, **center}})
    for field, values in TRIED_MELS.items()
    for value in values
    for name, center in [
        ("waveglow", {}),
        ("source_filter", {"center": True}),
        *([("waveglow", {"center": True}), ("source_filter", {})] * (field in OF_MODELS)),
    ]
]
CASES += [
    ("nice", {"model": {"groups": 2}, "mel": sizes | center})
    for size, window in ((2, 2), (4, 2), (4, 4), (6, 6), (8, 2))
    for sizes in (
        {"n_fft": size, "win_length": window, "hop_length": hop, "n_mels": 1, "f_max": 11025.0}
        for hop in {2, window}
    )
    for center in ({}, {"center": True}, {"window": "hann_symmetric"})
]
CASES += [
    ("nice", {"synthesis": {field: value}})
    for field, values in {
        "cutoff": (1e-9, 1.0, 1000.0, 1e7),
        "full_band": (None, 0, 9),
        "sharpness": (1e-9, 1000.0),
        "temperature": (0, 1e-9),
    }.items()
    for value in values
]


@pytest.mark.filterwarnings("ignore:Empty filters detected")
@pytest.mark.parametrize(("name", "changes"), CASES, ids=str)
def test_what_is_made_also_runs(name, changes):
    names = {field for values in changes.values() for field in values}
    try:
        vocoder = Vocoder(VocoderConfig.from_dict(small(name, **changes)))
    except ValueError as error:
        assert any(field in str(error) for field in names), error  # noqa: PT017
        return
    mel = vocoder.config.mel
    time = mel.hop_length * max(8, 2 * mel.n_fft // mel.hop_length)
    audio = 0.1 * torch.randn(2, time)
    vocoder.train().log_prob(audio).sum().backward()
    vocoder.eval()
    target = vocoder.mel(audio)[..., : time // mel.hop_length]
    z = vocoder.encode(audio, target)
    assert (vocoder.decode(z, target) - audio).abs().max() < 1e-2
    sound = vocoder(target, seed=0)
    assert sound.shape == audio.shape
    assert sound.isfinite().all()
    assert vocoder(target[..., :1], seed=0).shape[1] == mel.hop_length
    streamed = torch.cat(list(vocoder.stream(target[0].split(1, dim=1), seed=0)))
    assert (streamed - sound[0]).abs().max() < 1e-3 * sound.abs().max().clamp_min(1)


MISFITS = {
    "groups": ("lapflow", {"groups": 48}, "model.groups to divide mel.hop_length 256; got 48"),
    "bands": ("lapflow", {"whitening_groups": 96, "groups": 128}, "model.whitening_groups to div"),
    "waveglow": ("waveglow", {"groups": 24}, "model.groups to divide mel.hop_length 256; got 24"),
    "kernel": ("squeezewave", {"kernel_size": 4}, "model.kernel_size to be odd; got 4"),
    "odd bands": ("source_filter", {"groups": 1}, "model.groups to be at least 2; got 1"),
    "block": ("source_filter", {"block": 96}, "model.block to divide mel.hop_length 256; got 96"),
    "lags": ("source_filter", {"highest_pitch": 5500.0}, "model.highest_pitch, 5500.0 Hz"),
    "one lag": (
        "source_filter",
        {"lowest_pitch": 419.9},
        "model.lowest_pitch, 419.9 Hz",
    ),
    "pitches": ("source_filter", {"lowest_pitch": 500.0}, "model.lowest_pitch < model.highest_pit"),
    "levels": ("glow", {"levels": 7}, "a multiple of 2 ** model.levels, 2 ** 7; got 64"),
    "scales": ("realnvp", {"scales": 7}, "a multiple of 2 ** model.scales, 2 ** 7; got 64"),
    "early": ("waveglow", {"early_size": 4}, "model.groups to leave at least 2 channels"),
    "frames apart": ("waveglow", {"upsampler_kernel_size": 255}, "model.upsampler_kernel_size of"),
}


@pytest.mark.parametrize("what", MISFITS)
def test_a_recipe_that_cannot_run_is_refused_before_any_data_is_read(what, tmp_path, capsys):
    name, values, told = MISFITS[what]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({"model": {"name": name, **values}}))
    arguments = ["--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    assert main(["train", str(tmp_path / "recipe.yaml"), *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"waveflow: error: {tmp_path / 'recipe.yaml'}: expected ")
    assert told in line
    with pytest.raises(ValueError, match="expected"):
        VocoderConfig(MODELS[name](**values))


def test_crops_of_a_single_step_normalise_nothing():
    values = {"model": {"name": "lapflow"}, "data": {"batch_size": 1, "segment_frames": 1}}
    with pytest.raises(ValueError, match=r"data\.batch_size times data\.segment_frames, 1 x 1"):
        TrainingConfig.from_dict(values)
    values["data"]["segment_frames"] = 2
    TrainingConfig.from_dict(values)


FORMER = {
    "framing": ("center", {"hop": False, "centred": True}),
    "edges": ("pad_mode", {"reflect": "reflect", "zeros": "constant"}),
}
"""Former fields of a mel: today's name, and today's values by the former ones."""
MELS = [
    MelConfig(center=center, pad_mode=pad_mode)
    for center in (False, True)
    for pad_mode in ("reflect", "constant")
]
former_names = pytest.mark.parametrize("old", FORMER)


def as_before(values):
    """The fields of a mel by their former names."""
    found = dict(values)
    for old, (new, meanings) in FORMER.items():
        (found[old],) = (name for name, today in meanings.items() if today == found[new])
        del found[new]
    return found


def through_a_vocoder(folder, values, mel):
    bundled = ROOT / "waveflow/pretrained/ljspeech-nano"
    shutil.copy(bundled / "model.safetensors", folder)
    config = yaml.safe_load((bundled / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump({**config, "mel": values}))
    return Vocoder.from_pretrained(folder).config.mel


def through_a_recipe(folder, values, mel):
    recipe = {"model": {"name": "nice"}, "mel": values}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return TrainingConfig.from_yaml(folder / "recipe.yaml").mel


def through_a_mel(folder, values, mel):
    path = folder / "mel.npz"
    np.savez(path, mel=np.zeros((80, 3), np.float32), config=np.array(json.dumps(values)))
    return read_mel(path)[1]


def through_an_index(folder, values, mel):
    rows = {"samples": 1, "shard": 0, "flac_offset": 0, "flac_size": 1}
    rows = {name: np.array([value]) for name, value in rows.items()}
    rows |= {"mel_offset": np.array([1]), "mel_size": np.array([1])}
    shards = (ShardFile("000000.tar", 2, "0" * 64),)
    ShardIndex(str(folder), ["one"], rows, shards, 22050, 256, mel).write()
    with np.load(folder / INDEX) as arrays:
        content = dict(arrays)
    about = json.loads(str(content["about"]))
    assert about["mel"] == asdict(mel)
    np.savez(folder / INDEX, **{**content, "about": json.dumps({**about, "mel": values})})
    return ShardIndex.read(folder).mel


def through_metadata(folder, values, mel):
    return MelConfig.from_plain({name: str(value) for name, value in values.items()})


files = pytest.mark.parametrize(
    "through",
    [through_a_vocoder, through_a_recipe, through_a_mel, through_an_index, through_metadata],
)


@files
@pytest.mark.parametrize("mel", MELS, ids=lambda mel: f"{mel.center}-{mel.pad_mode}")
def test_files_with_former_names_mean_what_they_meant(through, mel, tmp_path):
    values = as_before(asdict(mel))
    assert not values.keys() & {"center", "pad_mode"}
    assert through(tmp_path, asdict(mel), mel) == mel
    assert through(tmp_path, values, mel) == mel


@files
@former_names
def test_a_field_by_both_of_its_names_is_refused(through, old, tmp_path):
    new, mel = FORMER[old][0], MelConfig()
    values = {**asdict(mel), old: as_before(asdict(mel))[old]}
    with pytest.raises(ValueError, match=rf"expected mel\.{new} alone; got mel\.{old}, its former"):
        through(tmp_path, values, mel)


@files
@former_names
@pytest.mark.parametrize("value", ["constant", "Hop", None, True, 3, ["zeros"], {}], ids=str)
def test_a_former_field_has_its_former_values(through, old, value, tmp_path):
    values = {**as_before(asdict(MelConfig())), old: value}
    known = " or ".join(map(repr, FORMER[old][1]))
    with pytest.raises(ValueError, match=rf"expected mel\.{old} {known}; got"):
        through(tmp_path, values, MelConfig())


def test_faults_of_former_names_are_told_with_all_others():
    values = {"framing": "hops", "edges": "zeros", "pad_mode": "constant", "hop": 1, "n_mels": 0}
    with pytest.raises(ValueError, match="mel.framing 'hop'") as caught:
        MelConfig.from_plain(values)
    for told in ("mel.pad_mode alone", "got mel.hop", "mel.n_mels > 0"):
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("old", "value"), [(old, value) for old, (_, values) in FORMER.items() for value in values]
)
def test_former_names_warn_in_python(old, value):
    new, meanings = FORMER[old]
    mel = MelConfig(**{new: meanings[value]})
    told = f"^expected `{new}`; `{old}` goes in 0.2$"
    for use, result in (
        (lambda: MelConfig(**{old: value}), mel),
        (lambda: replace(mel, **{old: value}), mel),
        (lambda: replace(MelConfig(n_mels=20), **{old: value}), replace(mel, n_mels=20)),
        (lambda: getattr(mel, old), value),
    ):
        with pytest.warns(DeprecationWarning, match=told) as caught:
            assert use() == result
        assert [warning.filename for warning in caught] == [__file__]


@former_names
def test_former_names_that_are_wrong_are_refused_in_python(old):
    new, meanings = FORMER[old]
    (first, today), *_ = meanings.items()
    for values, told in (
        ({old: first, new: today}, f"mel: expected mel.{new} alone; got mel.{old}"),
        ({old: "constant"}, f"mel: expected mel.{old} '{first}' or"),
        ({old: None}, f"mel: expected mel.{old} '{first}' or"),
    ):
        with (
            pytest.warns(DeprecationWarning, match=f"expected `{new}`"),
            pytest.raises(ValueError, match=told),
        ):
            MelConfig(**values)


@former_names
def test_conversions_allow_former_names(old):
    new, meanings = FORMER[old]
    other = MelConfig(**{new: list(meanings.values())[1]})
    mel = torch.full((80, 5), -5.0)
    with pytest.warns(DeprecationWarning, match=f"expected `{new}`; `{old}` goes") as caught:
        assert torch.equal(convert(mel, other, MelConfig(), allow=[old]), mel)
    assert {warning.filename for warning in caught} == {__file__}


def test_only_names_of_today_are_written(tmp_path):
    config = VocoderConfig.from_dict({"model": TINY, "mel": as_before(asdict(MELS[-1]))})
    write_mel(tmp_path / "mel.npz", torch.zeros(80, 3), config.mel)
    with np.load(tmp_path / "mel.npz") as content:
        written = json.loads(str(content["config"]))
    for values in (written, config.to_dict()["mel"]):
        assert values == asdict(MELS[-1])
        assert not values.keys() & FORMER.keys()

"""Real training runs on real clips: they learn, stop, resume, and keep their weights whole."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from waveflow import Vocoder
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.training.config import TrainingConfig
from waveflow.training.corpus import find_clips, load_clips, split_clips
from waveflow.training.data import Crops
from waveflow.training.module import LikelihoodTraining
from waveflow.training.run import train

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "data" / "smoke"
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers:UserWarning", "ignore:.*LeafSpec.*"
)


@pytest.fixture
def config():
    recipe = TrainingConfig.from_yaml(ROOT / "recipes" / "ljspeech" / "smoke.yaml")
    return replace(
        recipe,
        data=replace(recipe.data, validation_list=None, exclude_list=None),
        run=replace(recipe.run, validate_every=4),
    )


@pytest.fixture(scope="module")
def clips():
    return load_clips(sorted(CLIPS.glob("*.flac")), LogMel(MelConfig()), min_frames=16)


def test_a_run_learns_resumes_and_exports(config, tmp_path):
    first = train(config, data=CLIPS, out=tmp_path / "run", max_steps=4)
    second = train(config, data=CLIPS, out=tmp_path / "run", max_steps=24)
    assert second > first + 0.1
    checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 24
    vocoder = Vocoder.from_pretrained(tmp_path / "run" / "model")
    assert vocoder.config == config.vocoder
    assert list((tmp_path / "run" / "events").glob("events*"))


def test_resuming_gives_what_an_unbroken_run_gives(config, tmp_path):
    whole = train(config, data=CLIPS, out=tmp_path / "whole", max_steps=8)
    train(config, data=CLIPS, out=tmp_path / "parts", max_time=timedelta(0), max_steps=8)
    assert torch.load(tmp_path / "parts" / "last.ckpt", weights_only=True)["global_step"] == 1
    parts = train(config, data=CLIPS, out=tmp_path / "parts", max_steps=8)
    assert parts == pytest.approx(whole, abs=1e-5)


def test_a_run_of_another_recipe_is_refused(config, tmp_path):
    train(config, data=CLIPS, out=tmp_path, max_steps=1)
    other = replace(config, model=replace(config.model, channels=8))
    with pytest.raises(ValueError, match=r"model\.channels: 16 then, 8 now"):
        train(other, data=CLIPS, out=tmp_path, max_steps=2)
    with pytest.raises(ValueError, match=r"run\.seed: 0 then, 7 now"):
        train(config, data=CLIPS, out=tmp_path, max_steps=2, seed=7)


def test_a_gradient_that_is_not_finite_changes_nothing(config):
    module = LikelihoodTraining(config)
    module.log = lambda *args, **kwargs: None
    before = [parameter.clone() for parameter in module.vocoder.parameters()]
    for bad in (float("nan"), float("inf"), 1.0):
        optimizer = torch.optim.Adam(module.vocoder.parameters())
        for parameter in module.vocoder.parameters():
            parameter.grad = torch.full_like(parameter, bad)
        module.configure_gradient_clipping()
        optimizer.step()
        same = [torch.equal(a, b) for a, b in zip(before, module.vocoder.parameters(), strict=True)]
        assert all(same) == (bad != 1.0)
    assert module.skipped_steps == 2


def test_recipes_are_valid():
    recipes = list((ROOT / "recipes").rglob("*.yaml"))
    assert len(recipes) >= 6
    for path in recipes:
        recipe = TrainingConfig.from_yaml(path)
        assert TrainingConfig.from_dict(recipe.to_dict()) == recipe
        recipe.model.build(recipe.mel)


def test_an_unknown_key_is_named(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model:\n  name: nice\noptimizer:\n  lerning_rate: 1\n")
    with pytest.raises(ValueError, match="lerning_rate"):
        TrainingConfig.from_yaml(recipe)
    recipe.write_text("model:\n  name: nice\noptimiser: {}\n")
    with pytest.raises(ValueError, match="optimiser"):
        TrainingConfig.from_yaml(recipe)


def test_crops_are_in_register_and_a_function_of_their_number(clips):
    crops = Crops(clips, segment_frames=16, hop_length=256, seed=3)
    same = Crops(clips, segment_frames=16, hop_length=256, seed=3)
    other = Crops(clips, segment_frames=16, hop_length=256, seed=4)
    for index in (0, 1, 57, 100_000):
        audio, mel = crops[index]
        assert audio.shape == (16 * 256,)
        assert mel.shape == (80, 16)
        assert torch.equal(audio, same[index][0])
        assert not torch.equal(audio, other[index][0])
        inner = LogMel(MelConfig())(audio[None])[0, :, 2:-2]  # edges see beyond the crop
        assert (inner - mel[:, 2:-2]).exp().log2().abs().median() < 0.05


def test_an_epoch_deals_every_clip_in_proportion(clips):
    crops = Crops(clips, segment_frames=16, hop_length=256, seed=3)
    dealt = [crops._owners[crops._order(epoch)] for epoch in range(2)]
    assert not np.array_equal(dealt[0], dealt[1])
    assert np.array_equal(np.sort(dealt[0]), np.sort(dealt[1]))
    expected = [clip.mel.shape[-1] // 16 for clip in clips]
    assert np.bincount(dealt[0]).tolist() == expected


def test_short_and_silent_clips_are_left_out_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(3000, 0.1), 22050)
    soundfile.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    soundfile.write(tmp_path / "good.wav", 0.1 * np.sin(np.arange(22050)), 22050)
    paths = list(find_clips(tmp_path).values())
    with (
        pytest.warns(UserWarning, match=r"1 clips shorter than 16 frames: .*short\.wav"),
        pytest.warns(UserWarning, match=r"1 clips silent: .*silent\.wav"),
    ):
        loaded = load_clips(paths, LogMel(MelConfig()), min_frames=16)
    assert [clip.name for clip in loaded] == ["good"]


def test_ljspeech_layout(tmp_path, config):
    (tmp_path / "wavs").mkdir()
    for name in ("a", "b", "c", "unlisted"):
        soundfile.write(tmp_path / "wavs" / f"{name}.wav", np.ones(10), 22050)
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("a|x|x\nb|x|x\nc|x|x\n")
    clips = find_clips(tmp_path)
    assert list(clips) == ["a", "b", "c"]
    held_out = tmp_path / "held_out.txt"
    held_out.write_text("b\n")
    data = replace(config.data, validation_list=str(held_out))
    split = split_clips(clips, data)
    assert [path.stem for path in split.training] == ["a", "c"]
    assert [path.stem for path in split.validation] == ["b"]
    with pytest.raises(ValueError, match="to train and to validate on; got 2 and 0"):
        split_clips(clips, replace(data, exclude_list=str(held_out)))
    metadata.write_text("a|x|x\nz|x|x\n")
    with pytest.raises(FileNotFoundError, match="such as z"):
        find_clips(tmp_path)


def test_a_checkpoint_within_a_run_holds_the_average_of_all_its_steps(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr("waveflow.training.callbacks.KeepRun.on_train_end", lambda *args: None)
    train(config, data=CLIPS, out=tmp_path, max_steps=4)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 4
    assert checkpoint["state_dict"]["average.n_averaged"] == 4

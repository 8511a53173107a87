"""Real training runs on real clips: they learn, stop, resume, and keep their weights whole."""

import json
from dataclasses import replace
from datetime import timedelta

import lightning.pytorch as lightning
import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import MEL
from tests.training.processes import CLIPS, ROOT
from waveflow import Vocoder
from waveflow.audio.clip_list import find_clips
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.training.checkpoint import newest_checkpoint
from waveflow.training.config import DataConfig, TrainingConfig
from waveflow.training.corpus import load_clips, split_clips
from waveflow.training.module import LikelihoodTraining
from waveflow.training.run import train


def read_checkpoint(run):
    return torch.load(newest_checkpoint(run / "checkpoints"), weights_only=True)


def last(config, step):
    return replace(config, optimizer=replace(config.optimizer, max_steps=step))


def test_a_run_learns_resumes_and_exports(config, tmp_path):
    run = tmp_path / "run"
    shown = {"run.loggers": ["tensorboard"], "run.audio_clips": 1, "run.validate_every": 8}
    config = config.override(shown)
    first = train(last(config, 2), data=CLIPS, out=run)
    written = (run / "run.yaml").read_text()
    written = written.replace("  causal: false\n", "")  # as before that field
    written = written.replace("  center: false\n", "  framing: hop\n")  # as by its former name
    (run / "run.yaml").write_text(written)
    second = train(last(config, 14), data=CLIPS, out=run, resume=True)
    assert (first.steps, second.steps, second.stopped_by) == (2, 14, None)
    assert second.nats_per_sample > first.nats_per_sample + 0.1
    assert read_checkpoint(run)["global_step"] == 14
    assert json.loads((run / "done").read_text())["steps"] == 14
    vocoder = Vocoder.from_pretrained(run / "model")
    assert vocoder.config == config.vocoder
    assert list((run / "events").glob("events*"))


def test_stopped_runs_are_not_done(config, tmp_path):
    outcome = train(config, data=CLIPS, out=tmp_path, max_time=timedelta(0))
    assert (outcome.steps, outcome.stopped_by, outcome.nats_per_sample) == (1, "time limit", None)
    assert read_checkpoint(tmp_path)["global_step"] == 1
    assert not (tmp_path / "done").exists()
    assert Vocoder.from_pretrained(tmp_path / "model").config == config.vocoder


def test_a_run_of_another_recipe_is_refused(config, tmp_path):
    train(last(config, 1), data=CLIPS, out=tmp_path)
    other = replace(config, model=replace(config.model, channels=8))
    with pytest.raises(ValueError, match=r"model\.channels: 16 then, 8 now"):
        train(other, data=CLIPS, out=tmp_path)
    with pytest.raises(ValueError, match=r"run\.seed: 0 then, 7 now"):
        train(config.override({"run.seed": 7}), data=CLIPS, out=tmp_path)


def test_nothing_to_resume_is_refused(config, tmp_path):
    with pytest.raises(ValueError, match="expected a run to resume"):
        train(config, data=CLIPS, out=tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def plainly(tmp_path_factory):
    """Nats per sample of a run that is computed in no special way, once for all others."""
    learned = {}

    def nats(config):
        if not learned:
            out = tmp_path_factory.mktemp("plain")
            learned[config] = train(config, data=CLIPS, out=out).nats_per_sample
        return learned[config]

    return nats


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler
@pytest.mark.parametrize(
    "compute", [{"reversible": True}, {"compile": "default"}, {"accumulate": 2}], ids=str
)
def test_ways_to_compute_learn_the_same(config, tmp_path, compute, plainly):
    torch._dynamo.reset()
    config = replace(last(config, 6), model=replace(config.model, layers=1))  # less to compile
    expected = plainly(config)
    other = replace(config, compute=replace(config.compute, **compute))
    # to ask which vectors the processor has costs torch's compiler ten compilations
    with torch._inductor.config.patch({"cpp.vec_isa_ok": False}):
        outcome = train(other, data=CLIPS, out=tmp_path / "other")
    assert outcome.nats_per_sample == pytest.approx(expected, abs=1e-4)
    resumed = train(last(config, 7), data=CLIPS, out=tmp_path / "other", resume=True)
    assert resumed.steps == 7  # a run may resume with other options


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # of torch's compiler
@pytest.mark.parametrize("reversible", [False, True], ids=["plain", "reversible"])
@pytest.mark.parametrize(
    "model",
    [
        {"name": "squeezewave", "flows": 4, "early_every": 2, "early_size": 2, "groups": 8},
        {"name": "waveglow", "flows": 3, "early_every": 1, "early_size": 1, "groups": 5},
        {"name": "realnvp", "groups": 8, "scales": 2, "couplings": 2},
    ],
    ids=lambda model: model["name"],
)
def test_no_network_falls_back_from_compiled_programs(model, reversible, monkeypatch):
    torch._dynamo.reset()
    plain = torch.nn.Module.compile

    def compiled(module, **options):
        plain(module, backend="eager", dynamic=options["dynamic"])

    monkeypatch.setattr(torch.nn.Module, "compile", compiled)
    sizes = {"channels": 6, "layers": 1} | model
    values = {"model": sizes, "mel": {**MEL, "hop_length": 4 * model["groups"]}}
    values["mel"] |= {"n_fft": 8 * model["groups"], "win_length": 8 * model["groups"]}
    values["compute"] = {"compile": "default", "reversible": reversible}
    strict = {"recompile_limit": 1, "fail_on_recompile_limit_hit": True}
    with torch._dynamo.config.patch(strict):
        module = LikelihoodTraining(TrainingConfig.from_dict(values)).train()
        audio = torch.randn(2, 16 * 4 * model["groups"])
        for _ in range(2):  # one to set what is set from data
            module._log_prob(audio, module.vocoder.mel(audio)[..., :16]).sum().backward()


def test_a_corpus_on_the_device_is_the_same_corpus(config, tmp_path):
    config = last(config, 3)
    train(config, data=CLIPS, out=tmp_path / "host")
    there = replace(config, data=replace(config.data, on_device=True))
    train(there, data=CLIPS, out=tmp_path / "device")
    host, device = (read_checkpoint(tmp_path / name)["state_dict"] for name in ("host", "device"))
    assert all(torch.equal(host[name], device[name]) for name in host)


def test_mixed_precision_learns(config, tmp_path):
    mixed = replace(config, compute=replace(config.compute, precision="bf16-mixed"))
    first = train(last(mixed, 1), data=CLIPS, out=tmp_path)
    second = train(last(mixed, 12), data=CLIPS, out=tmp_path)
    assert second.nats_per_sample > first.nats_per_sample + 0.1


def test_the_device_is_the_gpu_of_cuda_or_the_cpu(config, tmp_path, monkeypatch):
    """Other accelerators have no float64; "auto" of Lightning would take them."""
    monkeypatch.setattr("lightning.pytorch.accelerators.MPSAccelerator.is_available", lambda: True)
    asked = []

    class Trainer(lightning.Trainer):
        def __init__(self, **options):
            asked.append(options["accelerator"])
            super().__init__(**options)

    monkeypatch.setattr(lightning, "Trainer", Trainer)
    train(last(config, 1), data=CLIPS, out=tmp_path / "run", device="auto")
    assert asked == ["cpu"]
    for device, told in (
        ("mps", "expected one of cpu, cuda, auto; got mps"),
        ("cuda", "sees none"),
    ):
        with pytest.raises(ValueError, match=told):
            train(config, data=CLIPS, out=tmp_path / "other", device=device)


def test_a_gradient_that_is_not_finite_changes_nothing(config):
    module = LikelihoodTraining(config)
    module.log = lambda *args, **kwargs: None
    before = [parameter.clone() for parameter in module.vocoder.parameters()]
    for bad in (float("nan"), float("inf"), 1.0):
        optimizer = torch.optim.Adam(module.vocoder.parameters())
        for parameter in module.vocoder.parameters():
            parameter.grad = torch.full_like(parameter, bad)
        module.configure_gradient_clipping(optimizer)
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


def test_short_and_silent_clips_are_left_out_with_a_warning(tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(3000, 0.1), 22050)
    soundfile.write(tmp_path / "silent.wav", np.zeros(22050), 22050)
    soundfile.write(tmp_path / "good.wav", 0.1 * np.sin(np.arange(22050)), 22050)
    paths = list(find_clips(tmp_path).values())
    with (
        pytest.warns(UserWarning, match=r"1 clips shorter than 16 frames: .*short\.wav"),
        pytest.warns(UserWarning, match=r"1 clips silent: .*silent\.wav"),
    ):
        loaded = list(load_clips(paths, LogMel(MelConfig()), min_frames=16))
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
    assert split.training == ["a", "c"]
    assert split.validation == ["b"]
    with pytest.raises(ValueError, match="to train and to validate on; got 2 and 0"):
        split_clips(clips, replace(data, exclude_list=str(held_out)))
    metadata.write_text("a|x|x\nz|x|x\n")
    with pytest.raises(FileNotFoundError, match="such as z"):
        find_clips(tmp_path)


@pytest.mark.parametrize("lists", [[], ["validation_list"], ["exclude_list"]])
def test_a_corpus_that_leaves_nothing_tells_why(lists, tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("a\n")
    data = DataConfig(**{name: str(path) for name in lists})
    with pytest.raises(ValueError, match="expected clips to train and to validate on") as caught:
        split_clips(["a"], data)
    assert ("mine.txt" in str(caught.value)) == bool(lists)
    assert ("at least two clips" in str(caught.value)) == (not lists)


def test_a_checkpoint_within_a_run_holds_the_average_of_all_its_steps(
    config, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "waveflow.training.callbacks.CheckpointCallback.on_train_end", lambda *args: None
    )
    train(last(config, 4), data=CLIPS, out=tmp_path)
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint["global_step"] == 4
    assert checkpoint["state_dict"]["average.n_averaged"] == 4
    assert checkpoint["callbacks"] == {}  # keys would be names of classes, which may change

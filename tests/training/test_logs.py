"""What a run shows: scalars, sounds and pictures where they are wanted, and how it gets on."""

import csv
import io
import re
from dataclasses import replace

import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.training.processes import CLIPS, start
from waveflow import Vocoder
from waveflow.audio import LogMel
from waveflow.training.corpus import load_clips
from waveflow.training.logs import TEMPERATURES, flow_figures
from waveflow.training.run import train


@pytest.fixture
def config(config):
    return replace(
        config,
        optimizer=replace(config.optimizer, max_steps=8),
        run=replace(
            config.run,
            validate_every=8,
            log_every=1,
            audio_clips=1,
            loggers=("tensorboard", "csv", "wandb"),
        ),
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of wandb's own parts
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_every_logger_gets_what_it_can_show(config, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(config, data=CLIPS, out=tmp_path)

    events = EventAccumulator(str(tmp_path / "events"), size_guidance={"audio": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"train/nats_per_sample", "train/grad_norm", "train/skipped_steps"} <= {*tags["scalars"]}
    assert "validation/nats_per_sample" in tags["scalars"]
    assert any(re.fullmatch(r"flow/\d\d Coupling/log_det", tag) for tag in tags["scalars"])
    assert {"z/mean", "z/std", "z/excess_kurtosis"} <= {*tags["scalars"]}
    names = {"recorded", *(f"temperature {temperature}" for temperature in TEMPERATURES)}
    assert {tag.split("/")[1] for tag in tags["audio"]} == names
    assert {tag.split("/")[1] for tag in tags["images"]} == names - {"recorded"}
    sound = events.Audio(tags["audio"][0])[-1]
    audio, rate = soundfile.read(io.BytesIO(sound.encoded_audio_string))
    assert rate == 22050
    assert len(audio) > 22050
    picture = events.Images(tags["images"][0])[-1]
    assert picture.height == 2 * 256 + 2
    assert picture.width > 512

    with (next(tmp_path.glob("csv-*")) / "metrics.csv").open() as file:
        steps = [row["step"] for row in csv.DictReader(file) if row["train/nats_per_sample"]]
    assert steps == [str(step) for step in range(8)]
    assert list(tmp_path.rglob("*.wandb"))
    assert len(list(tmp_path.glob("wandb/offline-run-*/files/media/audio/*/*.wav"))) >= len(names)


def test_figures_of_the_flow_add_up(ljspeech):
    (clip,) = load_clips([CLIPS / "LJ002-0035.flac"], LogMel(ljspeech.config.mel))
    figures = flow_figures(ljspeech, clip, device=torch.device("cpu"))
    vocoder: Vocoder = ljspeech
    audio = clip.audio[None] / 2**15
    z = vocoder.encode(audio, clip.mel[None])
    constant = 0.5 * torch.log(torch.tensor(2 * torch.pi)) + 0.5 * z.square().mean()
    nats = vocoder.log_prob(audio, clip.mel[None]).item() / audio.numel()
    total = sum(value for name, value in figures.items() if name.endswith("/log_det"))
    assert total - constant.item() == pytest.approx(nats, abs=1e-3)
    assert figures["z/std"] == pytest.approx(z.std().item())
    assert 0.9 < figures["z/std"] < 1.1  # a trained flow
    assert abs(figures["z/mean"]) < 0.05


def test_a_log_file_gets_lines_with_all_that_matters(config, tmp_path):
    """Where stderr is no terminal."""
    config = replace(
        config,
        optimizer=replace(config.optimizer, max_steps=6),
        run=replace(config.run, report_seconds=0.001, loggers=("csv",)),
    )
    process = start(config, tmp_path / "run")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    line = (
        r"step \d+/6, \d+\.\d+ steps/s, -?\d+\.\d+ nats/sample, grad norm \d+, "
        r"(\d+ days?, )?\d+:\d\d:\d\d left"
    )
    assert len(re.findall(line, err)) >= 3

"""Vocoding of whole folders: the tree is kept, what is there stays, and length costs no memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch

from tests.conftest import CLIPS
from tests.warm import WARM_PYTHON
from waveflow import LogMel, MelConfig
from waveflow.audio import read_audio, write_audio
from waveflow.audio.mel_file import mel_frames, open_mel, read_mel, write_mel
from waveflow.cli import main
from waveflow.inference.denoiser import Denoiser
from waveflow.inference.mel import mel_pieces
from waveflow.io.atomic import atomic_path, remove_leftovers

QUIET = ["--temperature", "0.1"]  # random weights are loud
CLIP = CLIPS / "LJ001-0016.flac"


@pytest.fixture(autouse=True)
def _one_thread():
    """As folders are vocoded: the rounding depends on the number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def tree(vocoder, tmp_path):
    """A folder: a recording, one of its mels a floor below, and what is neither."""
    audio, rate = read_audio(CLIP)
    folder = tmp_path / "corpus"
    (folder / "mels" / "deep").mkdir(parents=True)
    (folder / "notes.txt").write_text("neither")
    write_audio(folder / "one.flac", audio[20000:35000], rate)
    write_audio(folder / ".hidden.wav", audio[:9000], rate)
    mel = vocoder.mel(audio[None, 40000:70000])[0]
    write_mel(folder / "mels" / "deep" / "two.first.npz", mel, vocoder.config.mel)
    write_mel(folder / "mels" / "three.npy", mel[:, :40], vocoder.config.mel)
    return folder


def run(model, *arguments):
    return main(["vocode", *map(str, arguments), "--model", model, "--device", "cpu", *QUIET])


def said(capsys):
    return [line.removeprefix("waveflow: ") for line in capsys.readouterr().err.splitlines()]


def contents(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_tree_is_kept_and_each_sound_is_that_of_its_file_alone(tree, model, tmp_path):
    assert run(model, tree, "-o", tmp_path / "out") == 0
    made = contents(tmp_path / "out")
    sources = {
        "one.wav": "one.flac",
        "mels/deep/two.first.wav": "mels/deep/two.first.npz",
        "mels/three.wav": "mels/three.npy",
    }
    assert made.keys() == sources.keys()
    for name, source in sources.items():
        assert run(model, tree / source, "-o", tmp_path / "alone.wav") == 0
        assert (tmp_path / "alone.wav").read_bytes() == made[name]


def test_what_is_there_stays_unless_told_otherwise(tree, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(model, tree, "-o", out) == 0
    before = contents(out)
    (out / "one.wav").write_bytes(b"mine")
    (out / "mels" / "three.wav").unlink()
    assert run(model, tree, "-o", out) == 0
    assert contents(out) == before | {"one.wav": b"mine"}
    assert run(model, tree, "-o", out) == 0
    assert said(capsys) == [
        f"skipped {count} existing outputs (--overwrite replaces them)" for count in (2, 3)
    ]
    assert run(model, tree, "-o", out, "--overwrite") == 0
    assert contents(out) == before
    (out / "one.wav").write_bytes(b"mine")
    assert run(model, tree / "one.flac", "-o", out) == 0  # a single file is made anew
    assert contents(out) == before


def test_a_file_that_fails_is_told_and_loses_no_other(tree, model, tmp_path, capsys):
    (tree / "bad.wav").write_text("no sound")
    assert run(model, tree, "-o", tmp_path / "out") == 1
    (line,) = said(capsys)
    assert line.startswith(f"error: {tree / 'bad.wav'}: ")
    assert len(contents(tmp_path / "out")) == 3


def test_outputs_below_the_folder_are_no_inputs(tree, model, tmp_path, capsys):
    for _ in range(2):
        assert run(model, tree, "-o", tree / "out") == 0
    assert len(contents(tree / "out")) == 3
    assert run(model, tree, "-o", tree) == 1
    assert said(capsys)[-1] == f"error: --out: expected another folder than {tree}; got {tree}"


def test_what_cannot_be_meant_is_refused_before_any_work(tree, model, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(model, tmp_path / "empty", "-o", tmp_path / "out") == 1
    assert run(model, tree, "-o", tmp_path / "out.wav") == 1
    (tree / "one.npy").touch()
    assert run(model, tree, "-o", tmp_path / "out") == 1
    empty, file, clash = said(capsys)
    assert empty.startswith(f"error: {tmp_path / 'empty'}: expected files ending in .wav, ")
    assert "expected a folder, because an input is a folder" in file
    assert f"would both be written to {tmp_path / 'out' / 'one.wav'}" in clash
    assert not (tmp_path / "out").exists()


def test_more_gpus_than_there_are_is_refused(tree, model, tmp_path, capsys):
    if torch.cuda.is_available():
        pytest.skip("there are some")
    arguments = ["vocode", tree, "-o", tmp_path / "out", "--device", "cuda", "--devices", "2"]
    assert main(list(map(str, arguments))) == 1
    assert "expected a CUDA device" in said(capsys)[0]


def test_leftovers_of_a_killed_run_are_removed(tree, model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    for name in (".one-abcd_123.wav", ".one-abcd_123.flac", ".other-abcd_123.wav", ".one.wav"):
        (out / name).touch()
    assert run(model, tree, "-o", out) == 0
    hidden = {name for name in contents(out) if name.startswith(".")}
    assert hidden == {".one-abcd_123.flac", ".other-abcd_123.wav", ".one.wav"}


def test_leftovers_are_what_atomic_writing_leaves(tmp_path):
    for name in ("a.b.wav", "plain"):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_bytes(b"half")
            kept = temporary.with_name("kept")
            os.link(temporary, kept)
        os.rename(kept, temporary)  # as if the process had been killed
        assert remove_leftovers([tmp_path / "none" / name, tmp_path / name]) == 1
    assert sorted(os.listdir(tmp_path)) == ["a.b.wav", "plain"]


def test_a_terminated_run_leaves_whole_files_and_goes_on(model, tmp_path):
    frames = np.random.default_rng(0).uniform(-8, -2, (80, 1000)).astype("float32")
    (tmp_path / "mels").mkdir()
    np.save(tmp_path / "mels" / "long.npy", np.tile(frames, 200))
    out = tmp_path / "out"
    command = [WARM_PYTHON, "-m", "waveflow", "vocode", tmp_path / "mels", "-o", out]
    process = subprocess.Popen([*map(str, command), "--model", model, "--device", "cpu"])
    end = time.monotonic() + 60
    while not any(path.stat().st_size > 10_000 for path in out.rglob("*")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.05)
    assert [name.startswith(".long-") for name in os.listdir(out)] == [True]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 130
    assert not contents(out)


LENGTHS = """
import os, resource, sys
import soundfile, waveflow.cli.commands, waveflow.cli.sounds, waveflow.vocoder
from waveflow.cli import main

for command, kind, made in (words.split("-") for words in sys.argv[1:]):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        continue
    device = ["--device", "cpu"] * (command == "vocode")
    for name in ("short", "long"):
        files = [f"{name}.{kind}", "-o", f"{command}-{kind}-{name}.{made}"]
        assert main([command, *files, "--model", "ljspeech-nano", *device]) == 0
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
    os._exit(0)
"""
"""Each command in a process of its own; all share what is imported."""
WAYS = ["vocode-npy-wav", "vocode-wav-wav", "mel-wav-npy"]


@pytest.fixture(scope="module")
def lengths(tmp_path_factory):
    """The folder of what each command made, its megabytes, and the frames of a long file."""
    folder = tmp_path_factory.mktemp("lengths")
    random = np.random.default_rng(0)
    for name, seconds in (("short", 60), ("long", 120)):
        frames = seconds * 22050 // 256
        np.save(folder / f"{name}.npy", random.uniform(-8, -2, (80, frames)).astype("float32"))
        noise = random.integers(-3000, 3000, (2 * 256 * frames, 2), dtype=np.int16)
        soundfile.write(folder / f"{name}.wav", noise, 44100)  # two channels at another rate
    done = subprocess.run(
        [sys.executable, "-c", LENGTHS, *WAYS],
        cwd=folder,
        # each array is mapped by itself, so that a heap in pieces does not blur the peak
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    taken = list(map(float, done.stdout.split()))
    return folder, dict(zip(WAYS, zip(taken[::2], taken[1::2], strict=True), strict=True)), frames


@pytest.mark.parametrize("way", WAYS)
def test_memory_does_not_grow_with_length(way, lengths):
    folder, megabytes, frames = lengths
    short, long = megabytes[way]
    assert long - short < 22  # 16 of longer pieces; writing the whole takes 60 more
    if way.endswith("wav"):
        assert len(read_audio(folder / f"{way.rpartition('-')[0]}-long.wav")[0]) == frames * 256
    else:
        assert np.load(folder / "mel-wav-long.npy").shape == (80, frames)


def test_denoising_is_that_of_the_denoiser(vocoder, model, tree, tmp_path):
    out = tmp_path / "out.wav"
    assert run(model, tree / "mels" / "three.npy", "-o", out, "--denoise", "0.5") == 0
    mel, _ = read_mel(tree / "mels" / "three.npy")
    audio = vocoder(mel, seed=0, temperature=0.1)
    expected = Denoiser.of(vocoder, temperature=0.1)(audio, strength=0.5)[0]
    written, _ = read_audio(out)
    assert (written - expected).abs().max() <= 2**-16 + 1e-6
    assert (written - audio[0]).abs().max() > 1e-3


@pytest.mark.parametrize("convention", ["hifigan-22k", "nvidia-22k"])
def test_the_mel_of_a_long_recording_is_that_of_the_whole(convention):
    log_mel = LogMel(MelConfig.named(convention))
    audio, _ = read_audio(CLIP)
    expected = log_mel(audio[None, : len(audio) // 256 * 256])[0, :, : len(audio) // 256]
    whole = torch.cat(list(mel_pieces([audio], log_mel)), dim=1)
    assert torch.equal(whole, expected)
    for size in (100, 5000, 90000):
        sliced = torch.cat(list(mel_pieces(audio.split(size), log_mel, whole=0)), dim=1)
        torch.testing.assert_close(sliced, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["npy", "big-endian", "transposed", "batched", "npz", "pt"])
def test_slices_of_a_mel_file_are_the_mel(kind, vocoder, tmp_path):
    mel = vocoder.mel(read_audio(CLIP)[0][None])[0]
    path = tmp_path / f"x.{kind if kind in ('npz', 'pt') else 'npy'}"
    if kind in ("npy", "npz", "pt"):
        write_mel(path, mel, vocoder.config.mel)
    else:
        array = mel.numpy().astype(">f8")
        array = array.T.copy().T if kind == "transposed" else array
        np.save(path, array[None] if kind == "batched" else array)
    opened = open_mel(path)
    slices = list(opened.slices(100))
    assert [part.shape[-1] for part in slices] == [100] * 4 + [53]
    assert torch.equal(torch.cat(slices, dim=1), mel)
    assert opened.frames == mel_frames(path) == mel.shape[-1]
    assert (opened.config is None) == (kind != "npz")

"""Files that are whole or not there: names of any length, errors that name what was meant."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.conftest import CLIPS
from waveflow import MelConfig, Vocoder
from waveflow.audio import read_audio, write_audio
from waveflow.audio.clip_list import find_clips, read_list
from waveflow.audio.mel_file import mel_frames, open_mel, read_mel, write_mel
from waveflow.audio.writing import write_audio_pieces
from waveflow.cli import main
from waveflow.evaluation import evaluate, read_recording
from waveflow.evaluation.page import write_page
from waveflow.export.onnx import export_onnx, export_torch
from waveflow.interop.checkpoint import open_checkpoint
from waveflow.interop.importing import _atomic_folder, import_checkpoint
from waveflow.io.atomic import atomic_path, remove_leftovers, write_atomically
from waveflow.io.text import read_json
from waveflow.training.clips import Clip
from waveflow.training.config import DataConfig, TrainingConfig
from waveflow.training.corpus import split_clips
from waveflow.training.run import train
from waveflow.training.shards import ShardIndex, is_sharded, write_shards

MEL = MelConfig()
SOUND = torch.zeros(4000)
CLIP = Clip("a", torch.zeros(2560, dtype=torch.int16), torch.zeros(80, 10))
MODEL = {"model": {"name": "lapflow"}}


@contextmanager
def full_disk(size=100):
    """Files that grow beyond so many bytes are refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WRITERS = {
    ".wav": lambda path, vocoder: write_audio(path, SOUND, 22050),
    ".flac": lambda path, vocoder: write_audio(path, torch.rand(4000), 22050),
    "pieces.wav": lambda path, vocoder: write_audio_pieces(path, [SOUND, SOUND], 22050),
    ".npz": lambda path, vocoder: write_mel(path, torch.zeros(80, 90), MEL),
    ".npy": lambda path, vocoder: write_mel(path, torch.zeros(80, 90), MEL),
    ".pt": lambda path, vocoder: write_mel(path, torch.zeros(80, 90), MEL),
    ".json": lambda path, vocoder: write_atomically(path, bytes(1000)),
    "": lambda path, vocoder: write_atomically(path, bytes(1000)),
    ".a-long-suffix-that-is-none": lambda path, vocoder: write_atomically(path, bytes(1000)),
}
"""What is written under one name, by the end of that."""

FOLDERS = {
    "model": (lambda path, vocoder: vocoder.save_pretrained(path), "model.safetensors"),
    "card": (
        lambda path, vocoder: vocoder.save_pretrained(path, model_card_kwargs={}),
        "model.safetensors",
    ),
    "shards": (lambda path, vocoder: write_shards([CLIP], path, MEL), "000000.tar"),
}
"""What is written as a folder, and its first file."""


def long_name(suffix, kind):
    room = 255 - len(suffix)
    return ("a" * room if kind == "ascii" else "長" * (room // 3)) + suffix


@pytest.mark.parametrize("kind", ["ascii", "japanese"])
@pytest.mark.parametrize("suffix", WRITERS)
def test_names_may_be_as_long_as_the_file_system_allows(suffix, kind, vocoder, tmp_path):
    name = long_name(suffix, kind)
    WRITERS[suffix](tmp_path / name, vocoder)
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("kind", FOLDERS)
def test_names_of_folders_too(kind, vocoder, tmp_path):
    name = long_name("", "japanese")
    FOLDERS[kind][0](tmp_path / name, vocoder)
    assert os.listdir(tmp_path) == [name]
    with _atomic_folder(tmp_path / name[1:]) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        (temporary / "config.yaml").touch()
    assert os.listdir(tmp_path / name[1:]) == ["config.yaml"]


@pytest.mark.parametrize("name", ["a.wav", "a", long_name(".wav", "ascii"), "b." + "c" * 200])
def test_temporary_names_are_hidden_beside_their_target(name, tmp_path):
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert len(temporary.name) <= max(len(name), 120)
        os.link(temporary, tmp_path / "kept")
    os.rename(tmp_path / "kept", temporary)  # as a killed process leaves it
    assert remove_leftovers([tmp_path / name]) == 1
    assert os.listdir(tmp_path) == [name]


def test_a_clip_of_a_long_name_is_vocoded_and_has_its_place_on_a_page(model, tmp_path, monkeypatch):
    pytest.importorskip("pesq")
    monkeypatch.chdir(tmp_path)
    audio, rate = read_audio(CLIPS / "LJ001-0016.flac")
    title = "long" * 62
    Path("in").mkdir()
    write_audio(f"in/{title}.wav", audio[20000:40000], rate)
    vocoder = Vocoder.from_pretrained(model)
    arguments = ["vocode", f"in/{title}.wav", "-o", "out/", "--temperature", "0"]
    assert main([*arguments, "--model", model]) == 0
    assert os.listdir("out") == [f"{title}.wav"]
    report = evaluate(vocoder, [f"in/{title}.wav"], pitch=False)
    page = write_page("page", report, vocoder)
    assert title in page.read_text()
    assert len(list(Path("page").glob("*.wav"))) == 2


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("where", ["full disk", "no parent", "file as parent", "a folder", "gone"])
def test_what_cannot_be_written_is_named_by_its_own_name(
    suffix, where, vocoder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path(f"folder{suffix}").mkdir()
    path = {
        "full disk": f"x{suffix}",
        "no parent": f"no/x{suffix}",
        "file as parent": f"file/x{suffix}",
        "a folder": f"folder{suffix}",
        "gone": f"/proc/x{suffix}",
    }[where]
    before = sorted(os.listdir())
    with full_disk() if where == "full disk" else monkeypatch.context():
        with pytest.raises(OSError, match=".") as caught:
            WRITERS[suffix](path, vocoder)
    assert path in str(caught.value) or os.path.dirname(path) == caught.value.filename
    assert "/." not in str(caught.value).replace("/./", "/")
    if where == "full disk":
        assert caught.value.errno == errno.EFBIG
        assert caught.value.filename == path
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("kind", FOLDERS)
def test_so_is_a_file_in_a_folder(kind, vocoder, tmp_path):
    write, first = FOLDERS[kind]
    with full_disk(), pytest.raises(OSError, match="too large") as caught:
        write(tmp_path / "x", vocoder)
    assert caught.value.filename == str(tmp_path / "x" / first)
    with full_disk(), pytest.raises(OSError, match="too large") as caught:
        with _atomic_folder(tmp_path / "y") as temporary:
            vocoder.save_pretrained(temporary)
    assert caught.value.filename == str(tmp_path / "y" / "model.safetensors")
    assert sorted(os.listdir(tmp_path)) == ["x"]


def test_errors_about_other_files_stay(tmp_path):
    def fail():
        with atomic_path(tmp_path / "out.wav"):
            (tmp_path / "input.wav").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        fail()
    assert caught.value.filename == str(tmp_path / "input.wav")


@pytest.mark.parametrize("command", ["vocode", "mel"])
def test_a_command_names_the_output_that_it_cannot_write(
    command, model, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    audio, rate = read_audio(CLIPS / "LJ001-0016.flac")
    write_audio("in.wav", audio[:9000], rate)
    np.save("in.npy", np.full((80, 30), -5.0, "float32"))
    file = "in.npy" if command == "vocode" else "in.wav"
    out = "o.wav" if command == "vocode" else "o.npz"
    with full_disk():
        assert main([command, file, "-o", out, "--model", model]) == 1
    assert capsys.readouterr().err == f"waveflow: error: {out}: File too large\n"
    assert main([command, file, "-o", f"in.wav/{out}", "--model", model]) == 1
    assert capsys.readouterr().err.startswith("waveflow: error: in.wav: ")
    assert main([command, "no.npy", "-o", out, "--model", model]) == 1
    assert capsys.readouterr().err == "waveflow: error: no.npy: No such file or directory\n"


EMPTY = {
    "read_audio": lambda vocoder: read_audio(""),
    "write_audio": lambda vocoder: write_audio("", SOUND, 22050),
    "write_audio_pieces": lambda vocoder: write_audio_pieces("", [SOUND], 22050),
    "read_mel": lambda vocoder: read_mel(""),
    "open_mel": lambda vocoder: open_mel(""),
    "mel_frames": lambda vocoder: mel_frames(""),
    "write_mel": lambda vocoder: write_mel("", torch.zeros(80, 9), MEL),
    "write_atomically": lambda vocoder: write_atomically("", b""),
    "read_json": lambda vocoder: read_json(""),
    "from_pretrained": lambda vocoder: Vocoder.from_pretrained(""),
    "cache_dir": lambda vocoder: Vocoder.from_pretrained("a/b", cache_dir=""),
    "revision": lambda vocoder: Vocoder.from_pretrained("a/b", revision=""),
    "save_pretrained": lambda vocoder: vocoder.save_pretrained(""),
    "repo_id": lambda vocoder: vocoder.save_pretrained("x", repo_id=""),
    "push_to_hub": lambda vocoder: vocoder.push_to_hub(""),
    "evaluate": lambda vocoder: evaluate(vocoder, [""]),
    "read_recording": lambda vocoder: read_recording("", vocoder._log_mel),
    "write_page": lambda vocoder: write_page("", None, vocoder),
    "export_onnx": lambda vocoder: export_onnx(vocoder, ""),
    "export_torch": lambda vocoder: export_torch(vocoder, ""),
    "open_checkpoint": lambda vocoder: open_checkpoint(""),
    "import_checkpoint": lambda vocoder: import_checkpoint("x", ""),
    "from_yaml": lambda vocoder: TrainingConfig.from_yaml(""),
    "train data": lambda vocoder: train(TrainingConfig.from_dict(MODEL), data="", out="x"),
    "train out": lambda vocoder: train(TrainingConfig.from_dict(MODEL), data="x", out=""),
    "find_clips": lambda vocoder: find_clips(""),
    "read_list": lambda vocoder: read_list(""),
    "split_clips": lambda vocoder: split_clips("ab", DataConfig(exclude_list="")),
    "write_shards": lambda vocoder: write_shards([CLIP], "", MEL),
    "is_sharded": lambda vocoder: is_sharded(""),
    "ShardIndex": lambda vocoder: ShardIndex.read(""),
    **{
        f"{section}.{name}": lambda vocoder, section=section, name=name: TrainingConfig.from_dict(
            MODEL | {section: {name: ""}}
        )
        for section, name in (
            ("data", "validation_list"),
            ("data", "exclude_list"),
            ("data", "mels"),
            ("run", "init_from"),
        )
    },
}


@pytest.mark.parametrize("name", EMPTY)
def test_an_empty_string_is_no_path(name, vocoder, tmp_path, monkeypatch):
    """Not the working folder, although a vocoder, recordings and shards are there."""
    vocoder.save_pretrained(tmp_path)
    write_shards([CLIP], tmp_path, MEL)
    write_audio(tmp_path / "a.wav", SOUND, 22050)
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir())
    with pytest.raises((ValueError, FileNotFoundError), match="got an empty string"):
        EMPTY[name](vocoder)
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("content", [b"", b"{", b"nothing", b"\xff\xfe\x00"])
def test_what_is_no_json_is_named(content, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.json: expected JSON"):
        read_json(tmp_path / "x.json")

"""Folders of recordings and lists of clips, as people and their editors leave them."""

import os
import unicodedata
import warnings
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from tests.training.processes import ROOT
from waveflow.audio import LogMel, MelConfig, read_audio
from waveflow.audio.clip_list import find_clips, read_list
from waveflow.audio.mel_file import write_mel
from waveflow.cli import main
from waveflow.cli.files import choose_clips, find_files
from waveflow.config import VocoderConfig
from waveflow.io.folders import SOUNDS, files_below
from waveflow.io.text import read_text
from waveflow.pretrained.storage import read_config
from waveflow.training.config import DataConfig, TrainingConfig
from waveflow.training.corpus import load_clips, split_clips
from waveflow.training.shards import ShardIndex, write_shards

IDS = ["LJ001", "Zoë", "cat", "dog", "elk", "fox", "gnu", "hen"]
NOISE = np.random.default_rng(0).normal(0, 0.1, 6000)


def spoken(folder, *names):
    """A folder of such recordings."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, NOISE, 22050, format="WAV")
    return folder


EDITORS = {
    "plain": lambda text: text.encode(),
    "byte order mark": lambda text: text.encode("utf-8-sig"),
    "Windows": lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
    "old Mac": lambda text: text.replace("\n", "\r").encode(),
    "no end": lambda text: text.rstrip("\n").encode("utf-8-sig"),
    "blanks": lambda text: text.replace("\n", " \t\n\n  ").encode(),
    "joined": lambda text: b"".join(
        row.encode("utf-8-sig") for row in text.splitlines(keepends=True)
    ),
    "NFD": lambda text: unicodedata.normalize("NFD", text).encode(),
    "NFC": lambda text: unicodedata.normalize("NFC", text).encode(),
}
editors = pytest.mark.parametrize("editor", EDITORS)
forms = pytest.mark.parametrize("form", ["NFC", "NFD"])


def write(path, text, editor):
    path.write_bytes(EDITORS[editor](text))
    return str(path)


@editors
@forms
@pytest.mark.parametrize("rest", ["", "|Said \u2028so.\x85\x0b|\x1cand \u2029so"])
def test_a_list_holds_out_its_clips_whatever_wrote_it(editor, form, rest, tmp_path):
    folder = spoken(tmp_path / "data", *(f"{unicodedata.normalize(form, i)}.wav" for i in IDS))
    held_out = write(tmp_path / "list.txt", "".join(f"{i}{rest}\n" for i in IDS[:3]), editor)
    assert read_list(held_out) == IDS[:3]
    clips = find_clips(folder)
    for key in ("validation_list", "exclude_list"):
        split = split_clips(clips, DataConfig(**{key: held_out}))
        assert not set(split.training).intersection(IDS[:3])
    chosen = choose_clips([folder], held_out)
    assert [unicodedata.normalize("NFC", path.stem) for path in chosen] == IDS[:3]
    write(folder / "metadata.csv", "".join(f"{i}{rest}\n" for i in IDS[:3]), editor)
    assert list(find_clips(folder)) == IDS[:3]


@editors
def test_a_recipe_is_read_whatever_wrote_it(editor, tmp_path):
    text = (ROOT / "recipes" / "ljspeech" / "smoke.yaml").read_text()
    if editor in ("blanks", "joined"):
        text, editor = text.replace("\n", "\n\n"), "byte order mark"
    here = tmp_path / "smoke.yaml"
    write(here, text, editor)
    there = TrainingConfig.from_yaml(ROOT / "recipes" / "ljspeech" / "smoke.yaml")
    assert TrainingConfig.from_yaml(here).model == there.model
    write(tmp_path / "config.yaml", "model:\n  name: nice\n", editor)
    assert read_config(tmp_path / "config.yaml") == VocoderConfig.from_dict(
        {"model": {"name": "nice"}}
    )


@pytest.mark.parametrize("content", [b"\xff\xfea\x00\n\x00", b"caf\xe9\n"])
def test_text_of_another_encoding_is_refused_by_name(content, tmp_path):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(ValueError, match=r"list\.txt: expected text in UTF-8; got"):
        read_text(tmp_path / "list.txt")


LISTS = {
    "with endings": "LJ001.wav\nZoë.wav\ncat.wav\n",
    "paths": "wavs/LJ001.wav|x\nwavs/Zoë.wav|x\n",
    "another case": "lj001\nzoë\n",
    "one of many": "cat\n" + "".join(f"cat-{n}\n" for n in range(20)),
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("key", ["validation_list", "exclude_list"])
def test_a_list_of_hardly_any_clip_shows_two_of_each(name, key, tmp_path):
    (tmp_path / "list.txt").write_text(LISTS[name])
    first, second = [i for i in read_list(tmp_path / "list.txt") if i not in IDS][:2]
    told = rf"list\.txt: .*such as LJ001 and Zoë; .*such as {first} and {second}$"
    with pytest.raises(ValueError, match=told):
        split_clips(IDS, DataConfig(**{key: str(tmp_path / "list.txt")}))
    with pytest.raises(ValueError, match=told):
        choose_clips([spoken(tmp_path / "data", *(f"{i}.wav" for i in IDS))], tmp_path / "list.txt")


def test_a_part_of_a_corpus_may_have_none_of_the_excluded_clips(tmp_path):
    """When the other list knows the clips; in a warning."""
    (tmp_path / "validation.txt").write_text("cat\nants\nbees\n")
    (tmp_path / "test.txt").write_text("wasps\nyaks\n")
    lists = {f"{w}_list": str(tmp_path / f"{n}.txt") for w, n in PAIRS}
    with pytest.warns(UserWarning, match=r"test\.txt: .* 2 of 2 are unknown, such as wasps and"):
        split = split_clips(IDS, DataConfig(**lists))
    assert split.validation == ["cat"]


PAIRS = (("validation", "validation"), ("exclude", "test"))


@forms
def test_mels_and_shards_meet_clips_of_either_form(form, tmp_path):
    other = "NFD" if form == "NFC" else "NFC"
    name, twin = (unicodedata.normalize(one, "Zoë") for one in (form, other))
    (path,) = find_clips(spoken(tmp_path / "data", f"{name}.wav")).values()
    log_mel = LogMel(MelConfig())
    (plain,) = load_clips([path], log_mel)
    (tmp_path / "mels").mkdir()
    write_mel(tmp_path / "mels" / f"{twin}.npy", plain.mel - 0.1, log_mel.config)
    (clip,) = load_clips([path], log_mel, mels=tmp_path / "mels")
    assert clip.name == "Zoë"
    assert (plain.mel - clip.mel).allclose(plain.mel.new_tensor(0.1), atol=1e-5)
    write_shards([replace(clip, name=name)], tmp_path / "shards", log_mel.config)
    assert ShardIndex.read(tmp_path / "shards").names == ["Zoë"]


def test_two_forms_of_one_name_are_two_clips_of_one_name(tmp_path):
    spoken(tmp_path, *(f"{unicodedata.normalize(form, 'Zoë')}.wav" for form in ("NFC", "NFD")))
    with pytest.raises(ValueError, match="expected one clip per name"):
        find_clips(tmp_path)


def taken(folder):
    """What every command takes of a folder, which has to be the same; and what is told of it."""
    told = []
    ways = (
        lambda: list(find_clips(folder).values()),
        lambda: choose_clips([folder], None),
        lambda: list(find_files([folder], str(folder.parent / "out"), SOUNDS)),
    )
    for way in ways:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            told.append((way(), [str(one.message) for one in caught]))
    assert told[0] == told[1] == told[2]
    paths, lines = told[0]
    return [str(path.relative_to(folder)) for path in paths], lines


HIDDEN = [
    "._one.wav",
    ".one.wav",
    "__MACOSX/._one.wav",
    "__MACOSX/wavs/two.wav",
    ".ipynb_checkpoints/one-checkpoint.wav",
    "wavs/.trash/deep/two.wav",
]


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_hidden_is_no_clip(name, tmp_path):
    folder = spoken(tmp_path / ".data", "one.wav", name)  # the folder itself may be
    names, lines = taken(folder)
    assert names == ["one.wav"]
    own = not name.rpartition("/")[2].startswith(".")  # not what stands beside another file
    assert len(lines) == own
    if own:
        assert f"{folder}: left out 1 hidden folders, such as {folder}" in lines[0]


def test_links_are_followed_each_folder_once(tmp_path):
    big = spoken(tmp_path / "big" / "wavs", "one.wav", "deep/two.wav")
    folder = spoken(tmp_path / "data", "three.wav")
    (folder / "a_link").symlink_to(folder / "z", target_is_directory=True)
    spoken(folder, "z/four.wav")
    (folder / "wavs").symlink_to(big)
    (folder / "wavs_again").symlink_to(big / "deep")
    (folder / "file.wav").symlink_to(big / "one.wav")
    for place, target in ((folder / "loop", folder), (folder / "up", tmp_path), (big / "up", big)):
        place.symlink_to(target)
    (folder / "self").symlink_to("self")
    names, lines = taken(folder)
    assert names == ["file.wav", "three.wav", "wavs/deep/two.wav", "wavs/one.wav", "z/four.wav"]
    assert lines == [f"{folder}: left out 1 broken links, such as {folder / 'self'}"]
    (tmp_path / "linked").symlink_to(folder)
    assert len(find_clips_quietly(tmp_path / "linked")) == 5


def find_clips_quietly(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_clips(folder)


def test_only_files_are_clips(tmp_path):
    folder = spoken(tmp_path / "data", "one.wav", "folder.wav/two.wav")
    os.mkfifo(folder / "pipe.wav")
    assert taken(folder) == (["folder.wav/two.wav", "one.wav"], [])


@pytest.mark.parametrize("format", sorted(soundfile.available_formats()))
def test_every_format_that_is_read_is_taken(format, tmp_path):
    if format in ("RAW", "SD2", "MAT4", "MAT5"):
        pytest.skip("no sound of its own: without a header, of two files, or of any numbers")
    for suffix in (format.lower(), format, format.title()):
        assert files_below(spoken(tmp_path / suffix, f"a.{suffix}"), SOUNDS)
    subtype = next(iter(soundfile.available_subtypes(format)))
    if soundfile.check_format(format, "PCM_16"):
        subtype = "PCM_16"
    rate = 8000 if format == "WVE" else 22050
    path = tmp_path / f"b.{format}"
    try:
        soundfile.write(path, NOISE, rate, format=format, subtype=subtype)
    except soundfile.SoundFileError:
        return  # it is read alone
    assert len(read_audio(path)[0])


@pytest.mark.filterwarnings("default:.*left out:UserWarning")
def test_what_is_left_out_is_told_in_one_line(tmp_path, capsys):
    folder = spoken(tmp_path / "data", "one.WAV")
    for name in ("a.m4a", "b.M4A", "c.wma", "notes.txt", "metadata.json"):
        (folder / name).touch()
    (folder / "wavs").symlink_to(tmp_path / "unplugged")
    (folder / ".old").mkdir()
    spoken(folder, ".old/two.wav")
    names, (line,) = taken(folder)
    assert names == ["one.WAV"]
    parts = line.removeprefix(f"{folder}: left out ").split("; ")
    assert sorted(parts) == [
        f"1 hidden folders, such as {folder / '.old'}",
        f"1 broken links, such as {folder / 'wavs'}",
        f"3 files in unsupported formats, such as {folder / 'a.m4a'}",
    ]
    recipe = str(ROOT / "recipes" / "ljspeech" / "smoke.yaml")
    assert main(["shard", recipe, "--data", str(folder), "--out", str(tmp_path / "shards")]) == 0
    assert f"waveflow: warning: {line}" in capsys.readouterr().err.splitlines()


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path):
    folder = spoken(tmp_path / "data", "one.wav", "locked/two.wav")
    (folder / "locked").chmod(0)
    try:
        if os.access(folder / "locked", os.R_OK):
            pytest.skip("nothing is locked for this user")
        with pytest.raises(PermissionError):
            find_clips(folder)
    finally:
        (folder / "locked").chmod(0o700)

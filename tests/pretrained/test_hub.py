"""Vocoders by name: bundled, in folders, in the hub's cache, and on a hub that speaks its protocol.

The hub's client is another process, since it reads its surroundings once.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from tests.conftest import CLIPS, ROOT
from tests.pretrained.hub_server import TOKEN, Repository, hub_server
from tests.warm import WARM_PYTHON
from waveflow import Vocoder
from waveflow.audio import MelConfig
from waveflow.cli import main
from waveflow.pretrained.hub import bundled

CLIP = str(CLIPS / "LJ001-0016.flac")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def use(folder, cases, **surroundings):
    """What comes of cases (name, work, its arguments, its options) in a process of its own."""
    (folder / "cases.json").write_text(json.dumps(cases))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    hub = {"HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [WARM_PYTHON, "-m", "tests.pretrained.hub_client", str(folder / "cases.json")],
        cwd=ROOT,
        env={**kept, **hub, **surroundings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def contents(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def lay_out(cache, folder, *, names=("config.yaml", "model.safetensors")):
    """A model in a cache, as the hub's client would have put it there."""
    repository = cache / "models--me--tiny"
    snapshot = repository / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()
    for name in names:
        shutil.copy(Path(folder) / name, repository / "blobs" / name)
        (snapshot / name).symlink_to(f"../../blobs/{name}")


@pytest.fixture(scope="module")
def offline(model, tmp_path_factory):
    """A cache that holds a model, and no hub."""
    folder = tmp_path_factory.mktemp("offline")
    lay_out(folder / "cache", model)
    lay_out(folder / "half", model, names=("config.yaml",))
    cases = [
        ("folder", "sound", [CLIP, model], {}),
        ("cached", "sound", [CLIP, "me/tiny"], {}),
        ("by commit", "sound", [CLIP, "me/tiny"], {"revision": COMMIT}),
        ("not cached", "sound", [CLIP, "me/other"], {}),
        ("half cached", "sound", [CLIP, "me/tiny"], {"cache_dir": str(folder / "half")}),
        ("no id", "sound", [CLIP, "me/ti..ny"], {}),
        ("push", "push", [model, "me/new"], {"token": TOKEN}),
        ("command", "command", ["score", CLIP, "--model", "me/tiny"], {}),
    ]
    surroundings = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "cache")}
    return use(folder, cases, **surroundings), folder


@pytest.fixture(scope="module")
def online(model, tmp_path_factory):
    """A hub with good and bad repositories, and what a user got from it."""
    folder = tmp_path_factory.mktemp("online")
    good = contents(model)
    config = yaml.safe_load(good["config.yaml"])
    damaged = {**config, "model": {**config["model"], "chanels": 8}}
    foreign = {"config.json": b"{}", "model.safetensors": b"x" * 100}
    foreign_yaml = {"config.yaml": b"trainer: {}", "model.safetensors": b"x" * 100}
    repositories = {
        "me/tiny": Repository(good),
        "me/private": Repository(good, private=True),
        "me/gated": Repository(good, gated=True),
        "me/broken": Repository(good, broken=True),
        "me/foreign": Repository(foreign),
        "me/foreign-yaml": Repository(foreign_yaml),
        "me/damaged": Repository({**good, "config.yaml": yaml.safe_dump(damaged).encode()}),
        "me/cut": Repository({**good, "model.safetensors": good["model.safetensors"][:1000]}),
        "me/empty": Repository({".gitattributes": b""}),
        "me/carded": Repository({"README.md": b"# Written by hand\n"}),
    }
    mine = {"token": TOKEN}
    card = {"license": "mit", "datasets": ["keithito/lj_speech"], "results": {"PESQ-wb": 3.64}}
    load = {
        name.partition("/")[2]: ("sound", [CLIP, name], {})
        for name in [*repositories, "me/nobody", "me/new", "me/saved"]
    }
    cases = {
        "folder": ("sound", [CLIP, model], {}),
        "push": ("push", [model, "me/new"], {**mine, "model_card_kwargs": card}),
        "push privately": ("push", [model, "me/hidden"], {**mine, "private": True}),
        "push to a branch": ("push", [model, "me/tiny"], {**mine, "branch": "nowhere"}),
        "push without a token": ("push", [model, "me/other"], {}),
        "keep the card": ("push", [model, "me/carded"], mine),
        "save": (
            "save_and_push",
            [model, str(folder / "saved")],
            {**mine, "repo_id": "me/saved", "commit_message": "Two in one"},
        ),
        **load,
        "again": ("sound", [CLIP, "me/tiny"], {}),
        "no revision": ("sound", [CLIP, "me/tiny"], {"revision": "v9"}),
        "with a token": ("sound", [CLIP, "me/private"], mine),
        "local": ("sound", [CLIP, "me/gated"], {"local_files_only": True}),
        "forced": ("sound", [CLIP, "me/tiny"], {"force_download": True}),
    }
    with hub_server(repositories) as server:
        listed = [(name, *case) for name, case in cases.items()]
        found = use(folder, listed, HF_ENDPOINT=server.address)
        return found, server, folder


@pytest.fixture(scope="module")
def unreachable(model, tmp_path_factory):
    """A hub's address where nobody answers."""
    folder = tmp_path_factory.mktemp("unreachable")
    lay_out(folder / "cache", model)
    cases = [
        ("load", "sound", [CLIP, "me/other"], {}),
        ("cached", "sound", [CLIP, "me/tiny"], {}),
        ("forced", "sound", [CLIP, "me/tiny"], {"force_download": True}),
        ("push", "push", [model, "me/new"], {"token": TOKEN}),
    ]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        return use(folder, cases, HF_ENDPOINT=address, HF_HUB_CACHE=str(folder / "cache")), address


def failed(result, error, *texts):
    assert result.get("error") == error, result
    assert result["module"] == "builtins"
    assert result["shown"] == "''", "another error is shown with it"
    assert "\n" not in result["text"]
    for text in texts:
        assert text in result["text"]


def test_a_folder_in_the_way_does_not_hide_a_bundled_name(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(model, "ljspeech-nano")
    assert Vocoder.from_pretrained("ljspeech-nano").config.model.channels > 16
    assert Vocoder.from_pretrained("./ljspeech-nano").config.model.channels == 16
    assert Vocoder.from_pretrained(Path("ljspeech-nano")).config.model.channels == 16


@pytest.mark.parametrize("name", ["nobody", "/no/where", "a/b/c", "../x/y", Path("me/tiny"), ""])
def test_what_is_no_id_is_not_looked_for_on_the_hub(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        Vocoder.from_pretrained(name)
    if name != "":
        assert str(name) in str(caught.value)


def test_ids_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"me/tiny: there is no such folder.*'waveflow\[hub\]'"):
        Vocoder.from_pretrained("me/tiny")


def test_folders_need_no_hub(monkeypatch, model):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert Vocoder.from_pretrained(model).config.model.channels == 16


def test_from_the_cache_without_a_hub(offline):
    found, folder = offline
    assert found["cached"]["value"] == found["folder"]["value"]
    assert found["by commit"]["value"] == found["folder"]["value"]
    assert found["command"]["value"] == 0
    failed(found["not cached"], "FileNotFoundError", "me/other", "HF_HUB_OFFLINE", str(folder))
    failed(found["half cached"], "FileNotFoundError", "me/tiny", str(folder / "half"))
    failed(found["no id"], "ValueError", "me/ti..ny")
    failed(found["push"], "ConnectionError", "me/new")
    assert all(result["seconds"] < 5 for result in found.values())


def test_loads_what_was_pushed(online):
    found, server, _ = online
    same = found["folder"]["value"]
    for name in ("tiny", "new", "saved", "again", "forced", "with a token"):
        assert found[name].get("value") == same, found[name]
    assert found["push"]["value"].startswith(f"{server.address}/me/new/commit/")
    assert server.repositories["me/saved"].messages[-1] == "Two in one"
    assert server.repositories["me/hidden"].private
    assert not server.repositories["me/new"].private
    pushed = server.repositories["me/new"].commits[-1][1]
    assert set(pushed) == {"README.md", "config.yaml", "model.safetensors"}


def test_saves_where_it_pushes_from(online, model):
    _, _, folder = online
    assert contents(folder / "saved") == contents(model)


def test_what_is_in_the_cache_is_not_asked_for_again(online):
    _, server, _ = online
    weights = [path for kind, path in server.asked if kind == "GET" and "safetensors" in path]
    once = [path for path in weights if path.startswith("/me/tiny/")]
    assert len(once) == 2  # the first time, and by force


def test_weights_of_other_makes_are_not_downloaded(online):
    found, server, _ = online
    failed(found["foreign"], "ValueError", "me/foreign", "without config.yaml")
    failed(found["foreign-yaml"], "ValueError", "config.yaml", "trainer")
    failed(found["damaged"], "ValueError", "config.yaml", "chanels")
    failed(found["cut"], "ValueError", "model.safetensors: expected")
    asked = [path for _, path in server.asked if "safetensors" in path]
    assert not [path for path in asked if "foreign" in path or "damaged" in path]


def test_what_the_hub_refuses_is_told_in_a_line(online):
    found, server, _ = online
    for name in ("nobody", "private"):
        address = f"{server.address}/me/{name}"
        failed(found[name], "FileNotFoundError", f"me/{name}", address, "private", "token")
    failed(found["gated"], "PermissionError", "me/gated", "gated", "terms")
    failed(found["broken"], "ConnectionError", "me/broken", "500")
    failed(found["no revision"], "FileNotFoundError", "me/tiny", "branch, tag or commit")
    failed(found["empty"], "ValueError", "without config.yaml and model.safetensors")
    failed(found["local"], "FileNotFoundError", "me/gated", "local_files_only")
    failed(found["push without a token"], "PermissionError", "me/other", "401")
    failed(found["push to a branch"], "FileNotFoundError", "me/tiny", "branch")


def test_a_card_that_is_there_stays(online):
    _, server, _ = online
    first, last = (
        server.repositories["me/carded"].commits[0],
        server.repositories["me/carded"].commits[-1],
    )
    assert last[1]["README.md"] == first[1]["README.md"]
    assert set(last[1]) == {"README.md", "config.yaml", "model.safetensors"}


def test_nobody_answers(unreachable):
    found, address = unreachable
    assert "value" in found["cached"]
    for name in ("load", "forced", "push"):
        failed(found[name], "ConnectionError", "me/", address)
    assert all(result["seconds"] < 10 for result in found.values())


def test_the_card_is_what_the_hub_reads(online, tmp_path):
    from huggingface_hub import ModelCard

    _, server, _ = online
    card = ModelCard(server.repositories["me/new"].commits[-1][1]["README.md"].decode())
    assert card.data.to_dict() == {
        "library_name": "waveflow",
        "license": "mit",
        "datasets": ["keithito/lj_speech"],
        "tags": ["waveflow", "vocoder", "normalizing-flow", "text-to-speech"],
    }
    for name, value in asdict(MelConfig()).items():
        assert f"| {name} | {value} |" in card.text
    assert "| PESQ-wb | 3.64 |" in card.text
    assert "`hifigan-22k`" in card.text


@pytest.mark.filterwarnings("ignore:.*clipped")  # the weights are random
def test_what_the_card_shows_runs(vocoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    vocoder.save_pretrained("mine", model_card_kwargs={"tags": ["tiny"], "language": "en"})
    text = (tmp_path / "mine" / "README.md").read_text()
    shutil.copy(CLIPS / "LJ001-0003.flac", "speech.wav")
    (block,) = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len([line for line in block.splitlines() if line]) == 5
    exec(block, {})  # noqa: S102
    assert (tmp_path / "copy.wav").stat().st_size > 10_000


def test_the_rest_of_a_push_needs_a_push(vocoder, tmp_path):
    with pytest.raises(ValueError, match="push_to_hub=True with private"):
        vocoder.save_pretrained(tmp_path / "x", private=True)
    assert not (tmp_path / "x").exists()


def test_signatures_are_those_of_the_mixin():
    from inspect import signature

    from huggingface_hub import PyTorchModelHubMixin as Mixin

    for method in ("from_pretrained", "push_to_hub", "save_pretrained"):
        theirs = signature(getattr(Mixin, method)).parameters
        mine = signature(getattr(Vocoder, method)).parameters
        named = [
            name
            for name, parameter in theirs.items()
            if parameter.kind is parameter.KEYWORD_ONLY
            and name not in ("config", "resume_download")
        ]
        assert [name for name in named if name not in mine] == [], method


def test_the_command_takes_ids(monkeypatch, capsys, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert main(["info", "me/nobody"]) == 1
    assert "me/nobody: expected a folder, or an id in the hub's cache" in capsys.readouterr().err


def test_bundled_names():
    assert bundled() == ["ljspeech", "ljspeech-hq", "ljspeech-nano"]

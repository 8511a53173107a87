"""Runs on shards: the same as on the folder they were made of, and larger than the disk."""

import threading
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch

from tests.training.processes import CLIPS
from waveflow.audio.clip_list import find_clips
from waveflow.audio.mel import LogMel
from waveflow.training.checkpoint import newest_checkpoint
from waveflow.training.corpus import load_clips
from waveflow.training.data import Corpus
from waveflow.training.run import train
from waveflow.training.shards import ShardIndex, write_shards


@pytest.fixture
def config(config):
    return replace(
        config,
        optimizer=replace(config.optimizer, max_steps=3),
    )


def shard(config, out, megabytes):
    clips = load_clips(find_clips(CLIPS).values(), LogMel(config.mel))
    return write_shards(clips, out, config.mel, megabytes=megabytes)


def weights(run):
    state = torch.load(newest_checkpoint(run / "checkpoints"), weights_only=True)["state_dict"]
    return torch.cat([weight.flatten().double() for weight in state.values()])


def test_a_shard_trains_as_its_folder_does(config, tmp_path):
    shard(config, tmp_path / "shards", 256)
    folder = train(config, data=CLIPS, out=tmp_path / "folder")
    sharded = train(config, data=tmp_path / "shards", out=tmp_path / "sharded")
    assert sharded.nats_per_sample == pytest.approx(folder.nats_per_sample, abs=1e-4)
    assert torch.allclose(weights(tmp_path / "sharded"), weights(tmp_path / "folder"), atol=1e-3)


@pytest.fixture
def remote(config, tmp_path, monkeypatch):
    """Shards of two or three clips each, behind a real server."""
    shard(config, tmp_path / "shards", 0.15)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Handler, directory=tmp_path / "shards")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # sockets of the HTTP client at exit
def test_a_corpus_larger_than_its_cache_trains_and_resumes(config, remote, tmp_path):
    index = ShardIndex.read(tmp_path / "shards")
    whole = sum(shard.size for shard in index.shards)
    limit = whole / 2
    data = replace(config.data, open_shards=2, cache_gigabytes=limit / 1e9)
    config = replace(config, data=data, optimizer=replace(config.optimizer, max_steps=20))
    train(config, data=tmp_path / "shards", out=tmp_path / "local")
    train(config, data=remote, out=tmp_path / "remote", max_time=timedelta(0))
    train(config, data=remote, out=tmp_path / "remote", resume=True)
    assert torch.equal(weights(tmp_path / "remote"), weights(tmp_path / "local"))
    kept = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*.tar"))
    assert 0 < kept <= limit
    crops = Corpus(remote, config).crops
    seen = {crops.clips.names[crops._owner(i)] for i in range(20 * data.batch_size)}
    sizes = dict(zip(index.names, index.rows["flac_size"], strict=True))
    assert sum(sizes[name] for name in seen) > limit  # more was read than is ever held


def test_a_cache_that_holds_no_window_is_refused(config, remote):
    config = replace(config, data=replace(config.data, cache_gigabytes=0.0003))
    with pytest.raises(ValueError, match=r"room for data\.open_shards = 8 shards"):
        Corpus(remote, config)


def test_what_shards_cannot_do_is_refused(config, tmp_path):
    shard(config, tmp_path / "shards", 256)
    with pytest.raises(ValueError, match=r"data\.on_device: expected a folder"):
        Corpus(tmp_path / "shards", replace(config, data=replace(config.data, on_device=True)))
    with pytest.raises(ValueError, match=r"expected shards that hold mels"):
        Corpus(tmp_path / "shards", replace(config, data=replace(config.data, mels="mels")))

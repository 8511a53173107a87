"""Shards: what they hold is what went in, wherever it is read from and however much of it."""

from __future__ import annotations

import functools
import http.server
import io
import json
import pickle
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from filelock import FileLock
from torch.utils.data import DataLoader

from tests.conftest import TINY
from waveflow.audio.mel import LogMel, MelConfig
from waveflow.cli import main
from waveflow.training import shard_cache
from waveflow.training.clips import Clip, MemoryClips
from waveflow.training.corpus import load_clips
from waveflow.training.crops import Batches, Crops
from waveflow.training.shard_cache import ShardCache
from waveflow.training.shards import ShardedClips, ShardIndex, is_sharded, write_shards

ROOT = Path(__file__).parents[2]
RECORDINGS = sorted(
    {
        path.stem: path
        for folder in ("data", "tests")
        for path in (ROOT / folder).rglob("LJ0*.flac")
        if "_long" not in path.stem
    }.values(),
    key=lambda path: path.stem,
)[:8]
MEGABYTES = 0.5  # a few clips a shard
SHORT_PAUSES = (0.01, 0.01, 0.01)


@pytest.fixture(scope="module")
def log_mel():
    return LogMel(MelConfig())


@pytest.fixture(scope="module")
def clips(log_mel):
    return list(load_clips(RECORDINGS, log_mel))


@pytest.fixture(scope="module")
def index(clips, log_mel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shards")
    write_shards(clips, folder, log_mel.config, megabytes=MEGABYTES)
    return ShardIndex.read(folder)


def crops_of(clips, **options):
    return Crops(clips, segment_frames=16, seed=3, **{"open_groups": 2, **options})


class TestShards:
    def test_audio_comes_back_bit_for_bit(self, clips, index, log_mel):
        assert len(index.shards) > 2
        assert all(shard.size <= MEGABYTES * 1e6 for shard in index.shards)
        sharded = ShardedClips(index, log_mel, index.names)
        assert sorted(sharded.names) == [clip.name for clip in clips]
        for clip in clips:
            number = sharded.names.index(clip.name)
            assert sharded.frames[number] == clip.mel.shape[-1]
            got = sharded.read(number, 0, sharded.frames[number])
            assert got.name == clip.name
            assert torch.equal(got.audio, clip.audio)
            assert got.audio.dtype == torch.int16

    def test_groups_are_shards_and_together_all(self, index, log_mel):
        sharded = ShardedClips(index, log_mel, index.names)
        assert len(sharded.groups) == len(index.shards)
        assert [clip for group in sharded.groups for clip in group] == list(
            range(len(sharded.names))
        )
        for group, shard in zip(sharded.groups, index.shards, strict=True):
            with tarfile.open(Path(index.source) / shard.name) as tar:
                assert {f"{sharded.names[clip]}.flac" for clip in group} == set(tar.getnames())

    @pytest.mark.parametrize(
        "config",
        [
            MelConfig.named("hifigan-22k"),
            MelConfig.named("nvidia-22k"),
            MelConfig.named("nemo-hifigan-22k"),
            MelConfig(n_fft=2048, win_length=1200, hop_length=300),
            MelConfig(n_fft=512, win_length=512, center=True),
            MelConfig(n_fft=256, win_length=256, n_mels=20),
        ],
        ids=["hop", "centred", "zeros", "long", "short-centred", "no-margin"],
    )
    def test_the_mel_of_any_crop_is_that_of_the_whole_clip(self, config, tmp_path):
        log_mel = LogMel(config)
        (clip,) = load_clips(RECORDINGS[:1], log_mel)
        index = write_shards([clip], tmp_path, config)
        sharded = ShardedClips(index, log_mel, index.names)
        frames, hop = clip.mel.shape[-1], config.hop_length
        random = np.random.default_rng(0)
        crops = [(0, frames), (0, 1), (frames - 1, frames), (0, 7), (frames - 7, frames), (50, 66)]
        crops += [(start, start + 16) for start in range(8)]
        crops += [(frames - 16 - back, frames - back) for back in range(8)]
        crops += [tuple(sorted(random.choice(frames + 1, 2, replace=False))) for _ in range(40)]
        for start, stop in crops:
            crop = sharded.read(0, int(start), int(stop))
            assert torch.equal(crop.audio, clip.audio[start * hop : stop * hop])
            assert crop.mel.shape == (config.n_mels, stop - start)
            assert (crop.mel - clip.mel[:, start:stop]).abs().max() < 1e-5

    @pytest.mark.parametrize("hops", [5, 6])
    def test_the_mel_of_the_shortest_clips(self, hops, log_mel, tmp_path):
        audio = torch.from_numpy(np.random.default_rng(0).integers(-9999, 9999, hops * 256))
        mel = log_mel(audio[None] * 2.0**-15)[0]
        index = write_shards([Clip("a", audio.short(), mel)], tmp_path, log_mel.config)
        sharded = ShardedClips(index, log_mel, ["a"])
        for start in range(hops):
            got = sharded.read(0, start, hops)
            assert (got.mel - mel[:, start:]).abs().max() < 1e-5

    def test_stored_mels_are_the_ones_that_are_read(self, clips, log_mel, tmp_path):
        predicted = [replace(clip, mel=clip.mel + 0.5) for clip in clips[:3]]
        index = write_shards(predicted, tmp_path, log_mel.config, store_mels=True)
        sharded = ShardedClips(ShardIndex.read(tmp_path), log_mel, index.names)
        for number, name in enumerate(sharded.names):
            (clip,) = (clip for clip in predicted if clip.name == name)
            assert torch.equal(sharded.read(number, 5, 21).mel, clip.mel[:, 5:21])
            assert torch.equal(sharded.read(number, 5, 21).audio, clip.audio[5 * 256 : 21 * 256])
        with pytest.raises(ValueError, match="expected center True; got center False"):
            ShardedClips(index, LogMel(replace(log_mel.config, center=True)), index.names)
        with pytest.raises(ValueError, match=r"expected a mel of shape \(80, "):
            write_shards(
                [replace(clips[0], mel=clips[0].mel[:, 1:])],
                tmp_path,
                log_mel.config,
                store_mels=True,
            )

    def test_a_single_shard_gives_the_crops_of_memory(self, clips, log_mel, tmp_path):
        index = write_shards(clips, tmp_path, log_mel.config)
        sharded = crops_of(ShardedClips(index, log_mel, index.names))
        memory = crops_of(MemoryClips(clips, hop_length=256))
        for number in (0, 1, 57, 100_000):
            assert torch.equal(sharded[number][0], memory[number][0])
            assert (sharded[number][1] - memory[number][1]).abs().max() < 1e-5

    def test_clips_that_are_too_short_are_left_out(self, index, log_mel):
        frames = sorted(ShardedClips(index, log_mel, index.names).frames)
        with pytest.warns(UserWarning, match=f"left out {len(frames) - 1} clips shorter than"):
            longest = ShardedClips(index, log_mel, index.names, min_frames=frames[-1])
        assert list(longest.frames) == frames[-1:]
        assert list(longest.groups) == [range(1)]
        with pytest.raises(ValueError, match="expected clips of at least"):
            ShardedClips(index, log_mel, index.names, min_frames=frames[-1] + 1)
        with pytest.raises(ValueError, match="1 of 2 are unknown, such as nobody"):
            ShardedClips(index, log_mel, [index.names[0], "nobody"])

    def test_two_workers_give_the_batches_of_none(self, index, log_mel):
        crops = crops_of(pickle.loads(pickle.dumps(ShardedClips(index, log_mel, index.names))))

        def batches(workers):
            loader = DataLoader(crops, batch_sampler=Batches(4), num_workers=workers)
            return [batch for batch, _ in zip(loader, range(12), strict=False)]

        for (audio, mel), (same_audio, same_mel) in zip(batches(0), batches(2), strict=True):
            assert torch.equal(audio, same_audio)
            assert (mel - same_mel).abs().max() < 1e-5


class Test_write_shards:
    def test_the_same_clips_give_the_same_bytes(self, clips, log_mel, index, tmp_path):
        again = write_shards(iter(clips), tmp_path, log_mel.config, megabytes=MEGABYTES)
        assert again.shards == index.shards
        for shard in index.shards:
            content = (tmp_path / shard.name).read_bytes()
            assert content == (Path(index.source) / shard.name).read_bytes()
            assert len(content) == shard.size

    @pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
    def test_webdataset_reads_them(self, clips, log_mel, tmp_path):
        webdataset = pytest.importorskip("webdataset")
        index = write_shards(clips, tmp_path, log_mel.config, megabytes=MEGABYTES, store_mels=True)
        urls = [str(tmp_path / shard.name) for shard in index.shards]
        samples = list(webdataset.WebDataset(urls, shardshuffle=False))
        assert [sample["__key__"] for sample in samples] == [clip.name for clip in clips]
        for sample, clip in zip(samples, clips, strict=True):
            audio, rate = soundfile.read(io.BytesIO(sample["flac"]), dtype="int16")
            assert rate == 22050
            assert np.array_equal(audio, clip.audio.numpy())
            assert np.array_equal(np.load(io.BytesIO(sample["mel.npy"])), clip.mel.numpy())

    @pytest.mark.parametrize("name", ["a.b", "a/b", "", "x" * 91])
    def test_refuses_names_that_no_member_can_have(self, name, clips, log_mel, tmp_path):
        with pytest.raises(ValueError, match="before the first dot"):
            write_shards([replace(clips[0], name=name)], tmp_path, log_mel.config)

    def test_an_interrupted_run_leaves_no_index_and_runs_again(self, clips, log_mel, tmp_path):
        def interrupted():
            yield from clips[:5]
            raise KeyboardInterrupt

        options = {"megabytes": MEGABYTES}
        whole = write_shards(clips, tmp_path, log_mel.config, **options)
        with pytest.raises(KeyboardInterrupt):
            write_shards(interrupted(), tmp_path, log_mel.config, **options)
        assert not is_sharded(tmp_path)
        with pytest.raises(
            FileNotFoundError, match="expected an index of shards; it does not exist"
        ):
            ShardIndex.read(tmp_path)
        again = write_shards(clips[:5], tmp_path, log_mel.config, **options)
        assert len(again.shards) < len(whole.shards)
        files = sorted(path.name for path in tmp_path.iterdir())
        assert files == [*(shard.name for shard in again.shards), "index.npz"]

    def test_refuses_two_of_one_name_and_none(self, clips, log_mel, tmp_path):
        with pytest.raises(ValueError, match="got two called LJ"):
            write_shards([clips[0], clips[0]], tmp_path, log_mel.config)
        with pytest.raises(ValueError, match="expected clips to write"):
            write_shards([], tmp_path, log_mel.config)


class TestShardIndex:
    def test_a_damaged_one_is_refused(self, index, tmp_path):
        path = tmp_path / "index.npz"
        good = (Path(index.source) / "index.npz").read_bytes()
        for bad in (b"", b"nonsense", good[: len(good) // 2], good[:-30] + bytes(30)):
            path.write_bytes(bad)
            with pytest.raises(ValueError, match=r"index\.npz: expected an index of shards; got: "):
                ShardIndex.read(tmp_path)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("shard", np.full(100, 0), "columns of different lengths"),
            ("shard_names", np.array(["../secret.tar"] * 99), "name or checksum is not"),
            ("shard_sha256", np.array(["/etc/passwd"] * 99), "name or checksum is not"),
            ("names", np.array([{"a": 1}], dtype=object), "allow_pickle"),
            ("about", json.dumps({"format": 2}), "format 1; got format 2 of a later waveflow"),
            ("about", "[]", "expected an index of shards; got"),
        ],
    )
    def test_a_wrong_one_is_refused(self, key, value, message, index, tmp_path):
        with np.load(Path(index.source) / "index.npz") as arrays:
            content = dict(arrays)
        size = len(content["shard_names"])
        content[key] = value[:size] if key.startswith("shard_") else value
        np.savez(tmp_path / "index.npz", **content)
        with pytest.raises(ValueError, match=message) as caught:
            ShardIndex.read(tmp_path)
        assert str(tmp_path) in str(caught.value)

    def test_another_rate_or_hop_is_refused(self, index):
        other = LogMel(MelConfig(sample_rate=24000, hop_length=300, win_length=1200, n_fft=2048))
        with pytest.raises(
            ValueError,
            match="expected shards of sample_rate 24000, hop_length 300; "
            "got sample_rate 22050, hop_length 256",
        ):
            ShardedClips(index, other, index.names)

    def test_a_damaged_shard_is_named(self, index, log_mel, tmp_path):
        for shard in index.shards:
            content = (Path(index.source) / shard.name).read_bytes()
            (tmp_path / shard.name).write_bytes(content[:3000])
        damaged = ShardedClips(replace(index, source=str(tmp_path)), log_mel, index.names)
        with pytest.raises(ValueError, match=r"000000\.tar: expected the FLAC of LJ0.*; got: "):
            damaged.read(0, 0, damaged.frames[0])


class Server(http.server.ThreadingHTTPServer):
    """Files over HTTP, which may fail at will.

    ``fail(path)`` gives a status, or "cut" to break off, or what to send instead, or None.
    """

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.requests = []
        self.ranges = True
        self.fail = lambda path: None

    def fetched(self):
        return [path for path in self.requests if path.endswith(".tar")]


class Handler(http.server.SimpleHTTPRequestHandler):
    """With byte ranges, as object stores have them."""

    def do_GET(self):
        self.server.requests.append(self.path)
        failure = self.server.fail(self.path)
        if failure == "cut":
            self.answer(200, bytes(1000), length=100_000)
        elif isinstance(failure, bytes):
            self.answer(200, failure, length=len(failure))
        elif failure is not None:
            self.send_error(failure)
        elif self.server.ranges and "Range" in self.headers:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            content = Path(self.translate_path(self.path)).read_bytes()[first : last + 1]
            self.answer(206, content, length=len(content))
        else:
            super().do_GET()

    def answer(self, status, content, *, length):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(index, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(shard_cache, "RETRY_PAUSES", SHORT_PAUSES)
    with Server(index.source) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def held(folder):
    """Bytes in the files of a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Watch(threading.Thread):
    """The most that a cache ever holds while this is entered."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder
        self.most = 0
        self._done = threading.Event()

    def run(self):
        while not self._done.is_set():
            for lock in self.folder.rglob("folder.lock"):
                with FileLock(lock):  # nothing comes or goes while it is counted
                    self.most = max(self.most, held(lock.parent))
            time.sleep(0.005)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self.join()


class TestRemote:
    def test_a_corpus_larger_than_the_cache_gives_the_local_crops(
        self, index, log_mel, server, tmp_path
    ):
        whole = sum(shard.size for shard in index.shards)
        limit = int(2.2 * MEGABYTES * 1e6)
        assert limit < whole
        remote = ShardIndex.read(server.address + "/")
        assert remote.names == index.names
        far = crops_of(ShardedClips(remote, log_mel, index.names, cache_bytes=limit))
        near = crops_of(ShardedClips(index, log_mel, index.names))
        epoch = sum(frames // 16 for frames in near.clips.frames)
        with Watch(tmp_path / "cache") as watch:
            for number in range(2 * epoch):
                (audio, mel), (near_audio, near_mel) = far[number], near[number]
                assert torch.equal(audio, near_audio)
                assert torch.equal(mel, near_mel)
                assert held(tmp_path / "cache") <= limit
        assert 0 < watch.most <= limit
        fetched = server.fetched()
        assert set(fetched) == {f"/{shard.name}" for shard in index.shards}
        assert len(index.shards) < len(fetched) <= 2 * len(index.shards)

    def test_processes_share_a_cache(self, index, log_mel, server, tmp_path):
        limit = int(2.2 * MEGABYTES * 1e6)
        remote = ShardIndex.read(server.address)
        far = crops_of(ShardedClips(remote, log_mel, index.names, cache_bytes=limit))
        near = crops_of(ShardedClips(index, log_mel, index.names))
        with Watch(tmp_path / "cache") as watch:
            loader = DataLoader(far, batch_sampler=Batches(4), num_workers=2)
            for step, (audio, mel) in zip(range(40), loader, strict=False):
                for part in range(4):
                    near_audio, near_mel = near[4 * step + part]
                    assert torch.equal(audio[part], near_audio)
                    assert (mel[part] - near_mel).abs().max() < 1e-5
        assert 0 < watch.most <= limit

    def test_shards_that_fit_are_fetched_once_by_whoever_comes_first(self, index, server, tmp_path):
        wanted = [number % len(index.shards) for number in range(40)]

        def work(number):
            cache = ShardCache(server.address, index.shards, limit=10**9)
            return cache.read(number, 0, 1 << 30)

        with ThreadPoolExecutor(8) as threads:
            contents = list(threads.map(work, wanted))
        for number, content in zip(wanted, contents, strict=True):
            path = Path(index.source) / index.shards[number].name
            assert content == path.read_bytes()
        assert len(server.fetched()) == len(index.shards)

    def test_many_readers_of_a_cache_of_one_shard_all_get_on(self, index, server, tmp_path):
        limit = max(shard.size for shard in index.shards)
        wanted = [number % len(index.shards) for number in range(40)]

        def work(number):
            cache = ShardCache(server.address, index.shards, limit=limit)
            return cache.read(number, 0, 1 << 30)

        with Watch(tmp_path / "cache") as watch, ThreadPoolExecutor(4) as threads:
            contents = list(threads.map(work, wanted))
        assert [len(content) for content in contents] == [index.shards[n].size for n in wanted]
        assert 0 < watch.most <= limit

    def test_what_a_killed_process_left_is_cleared_away(self, index, server, tmp_path):
        limit = max(shard.size for shard in index.shards)
        cache = ShardCache(server.address, index.shards, limit=limit)
        cache.folder.mkdir(parents=True)
        left = cache.folder / f"{'0' * 64}.{limit}.part"
        left.write_bytes(bytes(1000))
        cache.read(0, 0, 1)
        assert not left.exists()
        assert held(cache.folder) == index.shards[0].size

    def test_few_clips_of_every_shard_are_fetched_alone(self, index, log_mel, server, tmp_path):
        options = {"whole_shards": False, "cache_bytes": 10**9}
        remote = replace(index, source=server.address)
        far = ShardedClips(remote, log_mel, index.names[::3], **options)
        near = ShardedClips(index, log_mel, index.names[::3])
        for clip, frames in enumerate(far.frames):
            assert torch.equal(far.read(clip, 0, frames).audio, near.read(clip, 0, frames).audio)
        assert held(tmp_path / "cache") == 0
        server.ranges = False  # then they come whole after all
        assert torch.equal(far.read(0, 3, 9).mel, near.read(0, 3, 9).mel)
        assert held(tmp_path / "cache") > 0
        count = len(server.requests)
        far.read(0, 0, 5)
        assert len(server.requests) == count

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_corrupted_download_is_fetched_once_more_then_refused(
        self, times, index, log_mel, server, tmp_path
    ):
        remote = replace(index, source=server.address)
        clips = ShardedClips(remote, log_mel, index.names)
        bad = bytearray((Path(index.source) / index.shards[0].name).read_bytes())
        bad[5000] ^= 1
        answers = [bytes(bad)] * times
        server.fail = lambda path: answers.pop() if answers else None
        if times == 1:
            clips.read(0, 0, 8)
            assert held(tmp_path / "cache") == len(bad)
        else:
            with pytest.raises(ValueError, match=r"000000\.tar: expected the shard of the index, "):
                clips.read(0, 0, 8)
            assert held(tmp_path / "cache") == 0
        assert len(server.fetched()) == 2

    @pytest.mark.parametrize("how", [503, "cut"])
    def test_a_short_failure_is_got_over_and_a_long_one_told(self, how, index, log_mel, server):
        failures = [how] * 3
        server.fail = lambda path: failures.pop() if failures else None
        remote = ShardIndex.read(server.address)
        clips = ShardedClips(remote, log_mel, index.names)
        failures += [how] * 3
        clips.read(0, 0, 8)
        assert not failures
        server.fail = lambda path: how
        with pytest.raises(OSError, match=r"00000\d\.tar: cannot be fetched: "):
            clips.read(len(clips.names) - 1, 0, 8)

    def test_nothing_there_is_told_at_once(self, index, log_mel, server):
        with pytest.raises(FileNotFoundError, match=r"/not/index\.npz: expected a file"):
            ShardIndex.read(server.address + "/not")
        assert len(server.requests) == 1
        with pytest.raises(ValueError, match=r"nosuch://there/index\.npz: expected a URL"):
            ShardIndex.read("nosuch://there")
        server.fail = lambda path: 503
        with pytest.raises(OSError, match=r"index\.npz: cannot be fetched"):
            ShardIndex.read(server.address)

    def test_a_cache_that_holds_no_shard_is_refused(self, index, log_mel, server):
        remote = replace(index, source=server.address)
        largest = max(shard.size for shard in index.shards)
        with pytest.raises(ValueError, match=rf"largest shard, {largest / 1e9:.6g} GB; got 0.0001"):
            ShardedClips(remote, log_mel, index.names, cache_bytes=100_000)

    def test_addresses_are_told_from_folders(self, index, tmp_path):
        assert is_sharded("s3://bucket/speech")
        assert is_sharded(index.source)
        assert not is_sharded(tmp_path)


class TestCommand:
    @pytest.fixture
    def corpus(self, tmp_path):
        folder = tmp_path / "corpus"
        folder.mkdir()
        for path in RECORDINGS:
            (folder / path.name).symlink_to(path)
        return folder

    def run(self, corpus, out, **data):
        recipe = corpus.parent / "recipe.yaml"
        recipe.write_text(yaml.safe_dump({"model": TINY, "data": data}))
        arguments = ["shard", recipe, "--data", corpus, "--out", out, "--megabytes", 1]
        return main([str(argument) for argument in arguments])

    def test_makes_shards_of_all_clips(self, corpus, tmp_path, clips, log_mel, capsys):
        assert self.run(corpus, tmp_path / "shards") == 0
        index = ShardIndex.read(tmp_path / "shards")
        said = capsys.readouterr()
        hours = sum(len(clip.audio) for clip in clips) / 22050 / 3600
        assert said.out.startswith(f"{len(clips)} clips, {hours:.2f} hours, in {len(index.shards)}")
        assert said.err == ""
        assert index.names == [clip.name for clip in clips]
        assert index.mel is None
        sharded = ShardedClips(index, log_mel, index.names)
        for number, name in enumerate(sharded.names):
            (clip,) = (clip for clip in clips if clip.name == name)
            assert torch.equal(sharded.read(number, 0, sharded.frames[number]).audio, clip.audio)

    def test_stores_predicted_mels(self, corpus, tmp_path, clips, log_mel):
        (corpus / "mels").mkdir()
        for clip in clips:
            np.save(corpus / "mels" / f"{clip.name}.npy", clip.mel.numpy() - 0.25)
        assert self.run(corpus, tmp_path / "shards", mels="mels") == 0
        index = ShardIndex.read(tmp_path / "shards")
        assert index.mel == log_mel.config
        sharded = ShardedClips(index, log_mel, [clips[0].name])
        assert torch.equal(sharded.read(0, 9, 30).mel, clips[0].mel[:, 9:30] - 0.25)

    def test_fails_in_one_line(self, corpus, tmp_path, capsys):
        (corpus / "a.b.flac").symlink_to(RECORDINGS[0])
        assert self.run(corpus, tmp_path / "shards") == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert "without dots and slashes" in line
        assert "'a.b'" in line
        assert not (tmp_path / "shards").exists()

"""What is fuzzed: every reader of files, with files that are nearly good, and files that are not.

A target takes hypothesis' ``draw`` and an empty folder; up to its ``yield`` it writes a file there,
and then reads it, which may raise ValueError and OSError alone.
"""

import io
import json
import struct
import zipfile
from functools import cache

import numpy as np
import soundfile
import torch
from hypothesis import strategies as st
from safetensors.torch import save

from tests.conftest import CLIPS, ROOT, TINY
from tests.fuzz.mutations import LARGE, NUMBERS, changed, mutated, texts, values
from waveflow import Vocoder, VocoderConfig
from waveflow.audio import LogMel, MelConfig, read_audio
from waveflow.audio.clip_list import find_clips, read_list
from waveflow.audio.mel_file import mel_frames, open_mel, read_mel, write_mel
from waveflow.io.yaml import read_yaml
from waveflow.pretrained import limits
from waveflow.training.config import TrainingConfig
from waveflow.training.corpus import load_clips
from waveflow.training.shards import ShardedClips, ShardIndex, write_shards

CLIP = CLIPS / "LJ001-0016.flac"
TARGETS = {}


def target(function):
    """Put a function into the table of what is fuzzed."""
    TARGETS[function.__name__] = function
    return function


def build():
    """Good files, of a recording, and whatever is imported when such files are read."""
    from waveflow.training import checkpoint

    assert checkpoint
    limits.MOST_WEIGHTS = 2**24  # so that what is allowed is small, too
    read_audio(CLIP, sample_rate=16000)
    Vocoder.from_pretrained("ljspeech-nano")
    GOOD.update(
        audio=_sounds(),
        config=VocoderConfig.from_dict({"model": TINY}).to_dict(),
        recipe=TrainingConfig.from_yaml(ROOT / "recipes/ljspeech/smoke.yaml").to_dict(),
    )


GOOD = {}


def _sounds():
    """A tenth of a second in every container that is likely to be met."""
    samples, rate = soundfile.read(CLIP, frames=2205, dtype="int16")
    found = {}
    for name, kind in {
        "wav": ("WAV", "PCM_16"),
        "float.wav": ("WAV", "FLOAT"),
        "wavex.wav": ("WAVEX", "PCM_24"),
        "adpcm.wav": ("WAV", "IMA_ADPCM"),
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
        "opus": ("OGG", "OPUS"),
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "aiff": ("AIFF", "PCM_16"),
        "au": ("AU", "PCM_16"),
        "w64": ("W64", "PCM_16"),
        "caf": ("CAF", "ALAC_16"),
    }.items():
        buffer = io.BytesIO()
        own_rate = 24000 if name == "opus" else rate
        soundfile.write(buffer, samples, own_rate, kind[1], format=kind[0])
        found[name] = buffer.getvalue()
    return found


@target
def audio_mutated(draw, folder):
    path = folder / "sound.wav"
    path.write_bytes(draw(mutated(list(GOOD["audio"].values()))))
    rate = draw(st.sampled_from([None, 22050, 48000]))
    yield
    _heard(path, rate)


@target
def audio_headers(draw, folder):
    """Headers that promise too much."""
    path = folder / "sound.wav"
    u16 = st.integers(0, 2**16 - 1) | st.sampled_from([1, 2, 8, 16, 24, 32, 1024])
    u32 = st.integers(0, 2**32 - 1) | st.sampled_from([n for n in NUMBERS if n < 2**32])
    kind = draw(st.sampled_from(["wav", "flac", "aiff"]))
    if kind == "wav":
        tag = draw(st.sampled_from([1, 3, 6, 7, 17, 85, 0xFFFE]) | u16)
        chunk = struct.pack("<HHIIHH", tag, draw(u16), draw(u32), draw(u32), draw(u16), draw(u16))
        head = b"RIFF" + struct.pack("<I", draw(u32)) + b"WAVEfmt " + struct.pack("<I", len(chunk))
        content = (
            head + chunk + b"data" + struct.pack("<I", draw(u32)) + draw(st.binary(max_size=99))
        )
    elif kind == "flac":
        content = bytearray(GOOD["audio"]["flac"])
        rate, channels, depth = draw(st.integers(0, 2**20 - 1)), draw(st.integers(0, 7)), 15
        total = draw(st.integers(0, 2**36 - 1) | st.sampled_from([2**36 - 1, 2**35, 2**32]))
        if draw(st.booleans()):
            rate, channels = 22050, 0
        packed = rate << 44 | channels << 41 | depth << 36 | total
        content[18:26] = struct.pack(">Q", packed)
    else:
        content = bytearray(GOOD["audio"]["aiff"])
        place = content.index(b"COMM") + 8
        content[place : place + 2] = struct.pack(">H", draw(u16))
        content[place + 2 : place + 6] = struct.pack(">I", draw(u32))
        content[place + 8 : place + 18] = draw(st.binary(min_size=10, max_size=10))
    path.write_bytes(bytes(content))
    rate = draw(st.sampled_from([None, 22050, 48000]))
    yield
    _heard(path, rate)


def _heard(path, rate):
    audio, got = read_audio(path, sample_rate=rate)
    assert audio.dim() == 1
    assert len(audio) > 0
    assert audio.abs().max() <= 1
    assert rate in (None, got)


@target
def mel_npy(draw, folder):
    path = folder / "mel.npy"
    dtype = draw(st.sampled_from(["<f4", ">f8", "<i8", "|O", "<c8", "<M8[s]", "<U9", "|V8", "<f2"]))
    sizes = st.sampled_from([*NUMBERS, *LARGE]) | st.integers(-3, 100)
    shape = draw(st.lists(sizes, max_size=4).map(tuple))
    header = repr({"descr": dtype, "fortran_order": draw(st.booleans()), "shape": shape})
    version = draw(st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"]))
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    body = draw(st.binary(max_size=400))
    path.write_bytes(b"\x93NUMPY" + version + length + header.encode() + body)
    yield
    _mel_read(path)


@target
def mel_mutated(draw, folder):
    if "mels" not in GOOD:
        mel = torch.full((8, 6), -5.0)
        for suffix in ("npy", "npz", "pt"):
            write_mel(folder / f"mel.{suffix}", mel, MelConfig())
        np.savez_compressed(folder / "small.npz", mel=mel.numpy())
        GOOD["mels"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    name = draw(st.sampled_from(sorted(GOOD["mels"])))
    path = folder / f"changed{name}"
    path.write_bytes(draw(mutated([GOOD["mels"][name]])))
    yield
    _mel_read(path)


@target
def mel_npz(draw, folder):
    """Archives: bombs, objects, configs of another making."""
    path = folder / "mel.npz"
    kind = draw(st.sampled_from(["bomb", "promise", "objects", "config", "names"]))
    compression = draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]))
    if kind == "bomb":
        path.write_bytes(_bomb(compression))
    with zipfile.ZipFile(path, "a", compression) as archive:
        if kind == "bomb":
            pass
        elif kind == "promise":
            shape = draw(st.lists(st.sampled_from([80, *NUMBERS, *LARGE]), max_size=3).map(tuple))
            archive.writestr("mel.npy", _header("<f4", shape) + bytes(320))
        elif kind == "objects":
            buffer = io.BytesIO()
            np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
            archive.writestr("mel.npy", buffer.getvalue())
        elif kind == "config":
            archive.writestr("mel.npy", _header("<f4", (8, 10)) + bytes(320))
            about = draw(changed({"mel": GOOD["config"]["mel"]}))["mel"]
            text = draw(
                st.sampled_from(["[" * 99_999, '{"a":' * 9_999, "NaN", "9" * 5000])
                | st.just(json.dumps(about, default=str))
            )
            buffer = io.BytesIO()
            np.save(buffer, np.array(text))
            archive.writestr("config.npy", buffer.getvalue())
        else:
            archive.writestr(draw(st.text(min_size=1, max_size=9)), b"")
    yield
    _mel_read(path)


@cache
def _bomb(compression):
    """A mel of 128 MiB of nothing, in a few kilobytes."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", compression) as archive,
        archive.open("mel.npy", "w", force_zip64=True) as member,
    ):
        member.write(_header("<f4", (64, 2**19)))
        for _ in range(32):
            member.write(bytes(2**22))
    return content.getvalue()


def _header(dtype, shape):
    text = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def _mel_read(path):
    """By every way; the first that refuses does not spare the others."""
    refused = None
    for read in (read_mel, mel_frames, lambda path: next(open_mel(path).slices(8), None)):
        try:
            read(path)
        except (ValueError, OSError) as error:
            refused = error
    if refused:
        raise refused


@target
def vocoder_config(draw, folder):
    path = folder / "config.yaml"
    path.write_bytes(draw(texts(GOOD["config"])))
    (folder / "model.safetensors").write_bytes(b"")
    yield
    Vocoder.from_pretrained(folder)


@target
def sizes(draw, folder):
    """A config whose model nobody could hold."""
    models = ["lapflow", "source_filter", "nice", "realnvp", "glow", "waveglow", "squeezewave"]
    config = VocoderConfig.from_dict({"model": {"name": draw(st.sampled_from(models))}})
    plain = config.to_dict()
    section = draw(st.sampled_from(["model", "mel"]))
    fields = [name for name in plain[section] if name != "name"]
    for field in draw(st.lists(st.sampled_from(fields), min_size=1, max_size=3)):
        plain[section][field] = draw(st.sampled_from([*NUMBERS[3:], *LARGE]))
    yield
    Vocoder(VocoderConfig.from_dict(plain))


@target
def recipe(draw, folder):
    path = folder / "recipe.yaml"
    path.write_bytes(draw(texts(GOOD["recipe"])))
    yield
    TrainingConfig.from_yaml(path)


@target
def weights(draw, folder):
    """Safetensors: headers that lie, other types, and mutations."""
    if "model" not in GOOD:
        Vocoder(VocoderConfig.from_dict(GOOD["config"])).save_pretrained(folder)
        GOOD["model"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    good = GOOD["model"]["model.safetensors"]
    (folder / "config.yaml").write_bytes(GOOD["model"]["config.yaml"])
    length = int.from_bytes(good[:8], "little")
    header, body = json.loads(good[8 : 8 + length]), good[8 + length :]
    kind = draw(st.sampled_from(["mutated", "header", "length", "cast"]))
    if kind == "mutated":
        content = draw(mutated([good]))
    elif kind == "length":
        content = struct.pack(
            "<Q", draw(st.sampled_from([n for n in [*NUMBERS, *LARGE] if 0 <= n < 2**64]))
        )
        content += draw(st.binary(max_size=99)) + good[8:]
    elif kind == "cast":
        kinds = [torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn, torch.uint8]
        shapes = {name: about["shape"] for name, about in header.items() if name != "__metadata__"}
        dtype = draw(st.sampled_from(kinds))
        content = save({name: torch.zeros(shape).to(dtype) for name, shape in shapes.items()})
    else:
        name = draw(st.sampled_from([name for name in header if name != "__metadata__"]))
        field = draw(st.sampled_from(["dtype", "shape", "data_offsets"]))
        header[name][field] = draw(
            values()
            | st.sampled_from(["F64", "I8", "F8_E4M3", "BOOL", "C64", "F4", "BF16", "X"])
            | st.lists(st.sampled_from([*NUMBERS, *LARGE]), max_size=4)
        )
        text = json.dumps(header, default=str).encode()
        content = struct.pack("<Q", len(text)) + text + body
    (folder / "model.safetensors").write_bytes(content)
    yield
    Vocoder.from_pretrained(folder)


@target
def shard_index(draw, folder):
    """An index, whole or not, and the clips it speaks of."""
    if "shards" not in GOOD:
        clips = list(load_clips([CLIP], LogMel(MelConfig())))
        write_shards(clips, folder, MelConfig(), store_mels=True)
        GOOD["shards"] = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, content in GOOD["shards"].items():
        (folder / name).write_bytes(content)
    index = folder / "index.npz"
    kind = draw(st.sampled_from(["mutated", "rows", "about", "bomb", "shard"]))
    with np.load(io.BytesIO(GOOD["shards"]["index.npz"])) as archive:
        arrays = dict(archive)
    if kind == "mutated":
        index.write_bytes(draw(mutated([GOOD["shards"]["index.npz"]])))
    elif kind == "shard":
        tar = folder / "000000.tar"
        tar.write_bytes(draw(mutated([GOOD["shards"]["000000.tar"]])))
    else:
        if kind == "rows":
            name = draw(st.sampled_from(sorted(arrays)))
            arrays[name] = draw(
                st.sampled_from([n for n in [*NUMBERS, *LARGE] if -(2**63) <= n < 2**63]).map(
                    lambda number: np.array([number])
                )
                | st.sampled_from(
                    [np.zeros((1, 1)), np.array(5), np.array(["../x.tar"]), np.array([[1], [2]])]
                )
                | st.just(np.array([]))
                | st.just(np.array([np.nan]))
            )
        elif kind == "about":
            about = json.loads(str(arrays["about"]))
            about = draw(changed({"about": about}))["about"]
            arrays["about"] = np.array(json.dumps(about, default=str))
        else:
            arrays["names"] = np.zeros(2**26, np.int32)
        np.savez_compressed(index, **arrays)
    yield
    found = ShardIndex.read(folder)
    clips = ShardedClips(found, LogMel(MelConfig()), found.names)
    clips.read(0, 0, min(clips.frames[0], 8))
    clips.read(0, 0, clips.frames[0])


@target
def lists(draw, folder):
    path = folder / "list.txt"
    path.write_bytes(draw(st.binary(max_size=99) | mutated([b"LJ001-0001|a|b\nLJ001-0002\n"])))
    yield
    read_list(path)


@target
def metadata(draw, folder):
    (folder / "LJ001-0001.wav").touch()
    content = st.binary(max_size=99) | mutated([b"LJ001-0001|a|b\n", b"../../etc/passwd|a\n"])
    (folder / "metadata.csv").write_bytes(draw(content))
    yield
    find_clips(folder)


@target
def checkpoint(draw, folder):
    """What a run finds when it goes on."""
    from waveflow.training.checkpoint import SafeCheckpointIO, checkpoint_step, newest_checkpoint

    if "checkpoint" not in GOOD:
        buffer = io.BytesIO()
        torch.save({"state_dict": {"a": torch.zeros(3)}, "global_step": 4}, buffer)
        GOOD["checkpoint"] = buffer.getvalue()
    name = draw(st.sampled_from(["step-000000004.ckpt", "step-.ckpt", "step-x.ckpt"]))
    (folder / name).write_bytes(draw(mutated([GOOD["checkpoint"]]) | st.just(_code())))
    yield
    found = newest_checkpoint(folder)
    if found is not None:
        checkpoint_step(found)
        SafeCheckpointIO().load_checkpoint(found, weights_only=True)


def _code():
    """A checkpoint that runs a command when it is unpickled without care."""

    class Command:
        def __reduce__(self):
            return __import__("os").system, ("touch canary",)

    buffer = io.BytesIO()
    torch.save({"state_dict": Command()}, buffer)
    return buffer.getvalue()


@target
def run_file(draw, folder):
    path = folder / "run.yaml"
    path.write_bytes(draw(texts(GOOD["recipe"])))
    yield
    TrainingConfig.from_dict(read_yaml(path))

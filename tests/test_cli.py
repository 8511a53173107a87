"""The command line: what it makes, and that it fails in one line and leaves nothing behind."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import pickle
import subprocess
import sys
import threading
import types
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import load_file, save_file

from tests.conftest import TINY
from waveflow import LogMel, MelConfig, Vocoder, VocoderConfig
from waveflow.audio import read_audio, write_audio
from waveflow.audio.mel_file import write_mel
from waveflow.cli import main
from waveflow.interop.mels import CONVENTIONS

ROOT = Path(__file__).parents[1]
SPEECH = ROOT / "data" / "clips" / "LJ001-0016.flac"
QUIET = ["--temperature", "0.1"]  # random weights are loud


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A second of speech that is no whole number of hops."""
    audio, rate = read_audio(SPEECH)
    path = tmp_path_factory.mktemp("clips") / "speech.wav"
    write_audio(path, audio[11000:33000], rate)
    return path


@pytest.fixture
def mel(vocoder, clip):
    return vocoder.mel(read_audio(clip)[0][None])[0].numpy()


def error_line(capsys):
    """The one line that a failed command says."""
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("waveflow: error: ")
    return line.removeprefix("waveflow: error: ")


def fails(capsys, *arguments, code=1):
    assert main([str(argument) for argument in arguments]) == code
    return error_line(capsys)


class Test_vocode:
    def test_of_a_recording_is_the_vocoders_audio(self, vocoder, model, clip, tmp_path):
        out = tmp_path / "new" / "copy.wav"
        assert (
            main(["vocode", str(clip), "-o", str(out), "--model", model, "--seed", "3", *QUIET])
            == 0
        )
        audio, rate = read_audio(out)
        original = read_audio(clip)[0]
        whole = original[: len(original) // 256 * 256]
        expected = vocoder(vocoder.mel(whole[None]), temperature=0.1, seed=3)[0]
        assert rate == 22050
        assert len(audio) == len(whole) < len(original)
        assert (audio - expected).abs().max() <= 2**-16 + 1e-6

    @pytest.mark.parametrize("suffix", [".npz", ".npy", ".pt"])
    def test_of_a_written_mel_is_bit_for_bit_that_of_the_recording(
        self, suffix, model, clip, tmp_path
    ):
        mel, direct, by_mel = tmp_path / f"x{suffix}", tmp_path / "direct.wav", tmp_path / "mel.wav"
        assert main(["mel", str(clip), "-o", str(mel), "--model", model]) == 0
        assert main(["vocode", str(clip), "-o", str(direct), "--model", model, *QUIET]) == 0
        assert main(["vocode", str(mel), "-o", str(by_mel), "--model", model, *QUIET]) == 0
        assert direct.read_bytes() == by_mel.read_bytes()

    def test_of_a_centred_mel_keeps_the_length_of_the_recording(self, clip, tmp_path):
        config = VocoderConfig.from_dict({"model": TINY, "mel": "nvidia-22k"})
        Vocoder(config).save_pretrained(tmp_path / "model")
        out = tmp_path / "copy.wav"
        model = str(tmp_path / "model")
        assert main(["vocode", str(clip), "-o", str(out), "--model", model, *QUIET]) == 0
        assert len(read_audio(out)[0]) == 22000 // 256 * 256

    @pytest.mark.parametrize("kind", ["silent", "8-bit", "stereo", "48 kHz"])
    def test_takes_any_recording(self, kind, model, clip, tmp_path):
        samples, rate = read_audio(clip)[0].numpy(), 22050
        subtype = "PCM_U8" if kind == "8-bit" else "PCM_16"
        if kind == "silent":
            samples = 0 * samples
        if kind == "stereo":
            samples = np.stack([samples, 0 * samples], axis=1)
        if kind == "48 kHz":
            rate = 48000
        soundfile.write(tmp_path / "in.wav", samples, rate, subtype=subtype)
        out = tmp_path / "out.flac"
        arguments = ["vocode", str(tmp_path / "in.wav"), "-o", str(out), "--model", model, *QUIET]
        assert main(arguments) == 0
        audio, out_rate = read_audio(out)
        assert out_rate == 22050
        assert len(audio) == int(len(samples) * 22050 / rate) // 256 * 256

    def test_has_no_doubt_about_its_own_mels(self, model, tmp_path, capsys):
        """Silence, its own and a recording's, is none of speech."""
        write_audio(tmp_path / "a.wav", torch.zeros(50000), 22050)
        how = ["--model", model, *QUIET, "--denoise", "0.1"]
        with warnings.catch_warnings():
            warnings.filterwarnings("always", "mel:")
            assert main(["mel", str(tmp_path / "a.wav"), "-o", f"{tmp_path}/", *how[:2]]) == 0
            for name in ("a.wav", "a.npz"):
                arguments = ["vocode", str(tmp_path / name), "-o", str(tmp_path / "out.wav")]
                assert main([*arguments, *how]) == 0
            assert not capsys.readouterr().err
            np.save(tmp_path / "a.npy", np.load(tmp_path / "a.npz")["mel"])
            assert main(["vocode", str(tmp_path / "a.npy"), *arguments[2:], *how]) == 0
        assert (
            "waveflow: warning: mel: the standard deviation of its values is 0.00"
            in capsys.readouterr().err
        )

    @pytest.mark.parametrize("dtype", [">f8", "<f4", "<f2"])
    @pytest.mark.parametrize("batched", [False, True])
    def test_takes_mels_of_any_precision(self, dtype, batched, mel, model, tmp_path):
        mel = mel.astype(dtype)
        np.save(tmp_path / "x.npy", mel[None] if batched else mel)
        out = tmp_path / "x.wav"
        arguments = ["vocode", str(tmp_path / "x.npy"), "-o", str(out), "--model", model, *QUIET]
        assert main(arguments) == 0
        assert len(read_audio(out)[0]) == mel.shape[1] * 256

    @pytest.mark.parametrize("suffix", [".npy", ".pt"])
    def test_converts_mels_of_another_convention(self, suffix, vocoder, clip, tmp_path, capsys):
        """Of another logarithm, and with the frames first; and refuses what cannot be converted."""
        audio = read_audio(clip)[0][None]
        espnet = CONVENTIONS["espnet-22k"]
        config = dataclasses.replace(vocoder.config, mel=espnet.front_end)
        Vocoder(config).save_pretrained(tmp_path / "model")
        own = LogMel(espnet.front_end)(audio)[0]
        write_mel(tmp_path / "own.npy", own, espnet.front_end)
        write_mel(tmp_path / f"espnet{suffix}", espnet.write(own), espnet.front_end)
        for name, more in (("own.npy", []), (f"espnet{suffix}", ["--convention", "espnet-22k"])):
            arguments = ["vocode", str(tmp_path / name), "-o", str(tmp_path / f"{name}.wav")]
            assert main([*arguments, "--model", str(tmp_path / "model"), *more, *QUIET]) == 0
        sounds = [
            read_audio(tmp_path / f"{name}.wav")[0] for name in ("own.npy", f"espnet{suffix}")
        ]
        assert len(sounds[0]) == own.shape[1] * 256
        assert (sounds[0] - sounds[1]).abs().max() <= 2**-15
        assert main([*arguments, "--convention", "espnet-22k", *QUIET]) == 1
        assert "espnet-22k cannot become hifigan-22k: f_min 80.0" in error_line(capsys)

    @pytest.mark.parametrize(("theirs", "late"), [("hifigan-22k", -128), ("nvidia-22k", 128)])
    def test_of_frames_half_a_hop_away_stands_in_register(self, theirs, late, clip, tmp_path):
        """A sound is moved by what its mel's frames stand apart from the model's."""
        own = {"hifigan-22k": "nvidia-22k", "nvidia-22k": "hifigan-22k"}[theirs]
        vocoder = Vocoder(VocoderConfig.from_dict({"model": TINY, "mel": own})).eval()
        vocoder.save_pretrained(tmp_path / "model")
        mel = LogMel(MelConfig.named(theirs))(read_audio(clip)[0][None])[0]
        np.save(tmp_path / "x.npy", mel.numpy())
        arguments = ["vocode", str(tmp_path / "x.npy"), "-o", str(tmp_path / "x.wav"), *QUIET]
        arguments += ["--model", str(tmp_path / "model"), "--convention", theirs]
        assert main(arguments) == 0
        sound = read_audio(tmp_path / "x.wav")[0]
        direct = vocoder(mel[None], seed=0, temperature=0.1)[0]
        assert len(sound) == len(direct)
        moved = torch.nn.functional.pad(direct, (-late, late))
        assert (sound - moved).abs().max() <= 2**-16 + 1e-6

    def test_does_the_others_when_one_fails(self, model, clip, mel, tmp_path, capsys):
        np.save(tmp_path / "fine.npy", mel)
        (tmp_path / "bad.wav").write_text("no sound")
        out = tmp_path / "out"
        files = [str(tmp_path / "bad.wav"), str(clip), str(tmp_path / "fine.npy")]
        assert main(["vocode", *files, "-o", str(out), "--model", model, *QUIET]) == 1
        assert error_line(capsys).startswith(f"{tmp_path / 'bad.wav'}: ")
        assert sorted(path.name for path in out.iterdir()) == ["fine.wav", "speech.wav"]

    @pytest.mark.filterwarnings("default")
    def test_warns_of_clipping_in_one_line(self, model, clip, tmp_path, capsys):
        out = str(tmp_path / "loud.wav")
        assert main(["vocode", str(clip), "-o", out, "--model", model, "--temperature", "9"]) == 0
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"waveflow: warning: {out}: clipped ")


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return Path.touch, (Path(self.target),)


def npz(path, **arrays):
    np.savez(path, **arrays)


def truncate(path, size):
    path.write_bytes(path.read_bytes()[:size])


BAD_RECORDINGS = {
    "missing.wav": lambda path, clip: None,
    "empty.wav": lambda path, clip: path.touch(),
    "folder.wav": lambda path, clip: path.mkdir(),
    "text.flac": lambda path, clip: path.write_text("no sound\n" * 99),
    "truncated.wav": lambda path, clip: path.write_bytes(clip.read_bytes()[:9999]),
    "truncated.flac": lambda path, clip: path.write_bytes(SPEECH.read_bytes()[:9999]),
    "no_samples.wav": lambda path, clip: soundfile.write(path, np.zeros(0), 22050),
    "one_hop.wav": lambda path, clip: soundfile.write(path, np.zeros(300), 22050),
    "nan.wav": lambda path, clip: soundfile.write(
        path, np.full(9999, np.nan, "float32"), 22050, subtype="FLOAT"
    ),
}

BAD_MELS = {
    "missing.npy": lambda path, mel: None,
    "empty.npy": lambda path, mel: path.touch(),
    "empty.npz": lambda path, mel: path.touch(),
    "empty.pt": lambda path, mel: path.touch(),
    "text.npy": lambda path, mel: path.write_text("no array"),
    "text.npz": lambda path, mel: path.write_text("no array"),
    "text.pt": lambda path, mel: path.write_text("no array"),
    "truncated.npy": lambda path, mel: (np.save(path, mel), truncate(path, 999)),
    "truncated.npz": lambda path, mel: (npz(path, mel=mel), truncate(path, 999)),
    "truncated.pt": lambda path, mel: (torch.save(torch.tensor(mel), path), truncate(path, 999)),
    "nan.npy": lambda path, mel: np.save(path, np.where(mel < -5, np.nan, mel)),
    "integers.npy": lambda path, mel: np.save(path, mel.astype(int)),
    "complex.npy": lambda path, mel: np.save(path, mel.astype(complex)),
    "text_array.npy": lambda path, mel: np.save(path, mel.astype(str)),
    "bands.npy": lambda path, mel: np.save(path, mel[:40]),
    "transposed.npy": lambda path, mel: np.save(path, mel.T),
    "batch.npy": lambda path, mel: np.save(path, np.stack([mel, mel])),
    "frame.npy": lambda path, mel: np.save(path, mel[:, 0]),
    "no_frames.npy": lambda path, mel: np.save(path, mel[:, :0]),
    "not_logarithmic.npy": lambda path, mel: np.save(path, np.exp(mel)),
    "unnamed.npz": lambda path, mel: npz(path, other=mel),
    "no_json.npz": lambda path, mel: npz(path, mel=mel, config="{"),
    "no_mapping.npz": lambda path, mel: npz(path, mel=mel, config="3"),
    "unknown_key.npz": lambda path, mel: npz(path, mel=mel, config='{"hop": 256}'),
    "dictionary.pt": lambda path, mel: torch.save({"mel": torch.tensor(mel)}, path),
    "sparse.pt": lambda path, mel: torch.save(torch.tensor(mel).to_sparse(), path),
}


class Test_bad_inputs:
    def fail(self, bad, model, tmp_path, capsys):
        """One line that names the file, and nothing written."""
        before = set(tmp_path.rglob("*"))
        line = fails(capsys, "vocode", bad, "-o", tmp_path / "out" / "x.wav", "--model", model)
        assert line.startswith(f"{bad}: ")
        assert set(tmp_path.rglob("*")) == before
        return line

    @pytest.mark.parametrize("name", BAD_RECORDINGS)
    def test_recording(self, name, clip, model, tmp_path, capsys):
        BAD_RECORDINGS[name](tmp_path / name, clip)
        self.fail(tmp_path / name, model, tmp_path, capsys)
        for command in (["mel", "-o", str(tmp_path / "x.npz")], ["score"]):
            fails(capsys, *command, tmp_path / name, "--model", model)
            assert not (tmp_path / "x.npz").exists()

    @pytest.mark.parametrize("name", BAD_MELS)
    def test_mel(self, name, mel, model, tmp_path, capsys):
        BAD_MELS[name](tmp_path / name, mel)
        self.fail(tmp_path / name, model, tmp_path, capsys)

    def test_transposed_mel_is_told_so(self, mel, model, tmp_path, capsys):
        np.save(tmp_path / "x.npy", mel.T)
        assert "transposed" in self.fail(tmp_path / "x.npy", model, tmp_path, capsys)

    def test_mel_of_another_convention_is_told_the_differing_fields(
        self, mel, model, tmp_path, capsys
    ):
        npz(tmp_path / "x.npz", mel=mel, config='{"f_max": 7600, "power_floor": 0}')
        line = self.fail(tmp_path / "x.npz", model, tmp_path, capsys)
        assert "f_max 8000.0" in line
        assert "f_max 7600" in line
        assert "power_floor" in line
        assert "n_fft" not in line

    @pytest.mark.parametrize("name", ["x.npy", "mel.npz", "config.npz", "x.pt", "legacy.pt"])
    def test_hostile_file_runs_nothing(self, name, mel, model, tmp_path, capsys):
        target, path = tmp_path / "was_run", tmp_path / name
        hostile = Runs(target)
        array = np.array([hostile], dtype=object)
        if name == "x.npy":
            np.save(path, array, allow_pickle=True)
        elif name == "mel.npz":
            npz(path, mel=array)
        elif name == "config.npz":
            npz(path, mel=mel, config=array)
        elif name == "x.pt":
            torch.save(hostile, path)
        else:
            path.write_bytes(pickle.dumps(hostile))
        line = self.fail(path, model, tmp_path, capsys)
        assert not target.exists()
        assert "code" in line
        pickle.loads(pickle.dumps(hostile))  # noqa: S301
        assert target.exists()  # it would have


NO_SOUNDS = {
    "m.pth": (lambda path, mel: torch.save(torch.tensor(mel), path), "an archive"),
    "model.ckpt": (lambda path, mel: torch.save({"state_dict": {}}, path), "an archive"),
    "old.pth": (lambda path, mel: path.write_bytes(pickle.dumps([1])), "a pickle"),
    "m.numpy": (lambda path, mel: np.save(path.open("wb"), mel), "a NumPy array"),
    "m.txt": (lambda path, mel: path.write_text("no sound\n" * 99), "an unknown format"),
    "m.bin": (lambda path, mel: path.touch(), "no bytes"),
}
"""What is neither taken for a mel, by its name, nor a sound; and what it is."""


class Test_words:
    """Errors name what is wrong, and not what is near it."""

    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    @pytest.mark.parametrize("name", NO_SOUNDS)
    def test_of_what_is_neither_recording_nor_mel(self, name, mel, model, tmp_path, capsys):
        make, what = NO_SOUNDS[name]
        make(tmp_path / name, mel)
        out = tmp_path / "x.wav"
        line = fails(capsys, "vocode", tmp_path / name, "-o", out, "--model", model)
        expected = "expected a recording, or a mel file ending in .npz, .npy, .pt; got "
        assert line.startswith(f"{tmp_path / name}: {expected}")
        assert what in line

    @pytest.mark.parametrize("command", ["mel", "score", "evaluate"])
    def test_of_a_mel_where_a_recording_is_expected(self, command, mel, model, tmp_path, capsys):
        npz(tmp_path / "x.npz", mel=mel)
        out = ["-o", tmp_path / "x.npy"] if command == "mel" else []
        line = fails(capsys, command, tmp_path / "x.npz", *out, "--model", model)
        assert line.startswith(f"{tmp_path / 'x.npz'}: expected a sound file; got an archive")

    @pytest.mark.parametrize("config", ["hifigan v1", "", "3", "[1]", 2.5, '{"hop_size": 256}'])
    def test_of_an_npz_of_another_program(self, config, mel, model, tmp_path, capsys):
        npz(tmp_path / "x.npz", mel=mel, config=config)
        line = fails(capsys, "vocode", tmp_path / "x.npz", "-o", tmp_path / "x.wav")
        assert "if another program wrote it, save mel alone" in line
        assert "Expecting value" not in line

    @pytest.mark.parametrize("samples", [1, 255, 400, 511])
    @pytest.mark.parametrize("command", ["vocode", "mel", "score", "evaluate"])
    def test_of_a_clip_that_is_too_short(self, command, samples, model, tmp_path, capsys):
        soundfile.write(tmp_path / "x.wav", np.zeros(samples), 22050)
        out = {"vocode": ["-o", tmp_path / "y.wav"], "mel": ["-o", tmp_path / "y.npz"]}
        more = [*out.get(command, []), "--model", model]
        line = fails(capsys, command, tmp_path / "x.wav", *more)
        expected = f"expected a recording of at least 512 samples at 22050 Hz; got {samples}"
        assert line == f"{tmp_path / 'x.wav'}: {expected}"


class Test_outputs:
    def test_are_never_inputs(self, clip, model, tmp_path, capsys):
        own = tmp_path / "own.wav"
        own.write_bytes(clip.read_bytes())
        (tmp_path / "link.wav").symlink_to(own)
        for out in (own, tmp_path, tmp_path / "link.wav"):
            assert "input" in fails(capsys, "vocode", own, "-o", out, "--model", model)
        assert own.read_bytes() == clip.read_bytes()

    def test_are_never_shared(self, clip, model, tmp_path, capsys):
        line = fails(capsys, "vocode", clip, "other/speech.npy", "-o", tmp_path / "out/")
        assert "speech.wav" in line
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("out", ["copy.mp3", "copy.npy", "file", "file/"])
    def test_are_files_of_a_known_kind_or_folders(self, out, clip, tmp_path, capsys):
        (tmp_path / "file").write_text("mine")
        assert "--out" in fails(capsys, "vocode", clip, "-o", f"{tmp_path}/{out}")
        assert (tmp_path / "file").read_text() == "mine"

    def test_of_many_need_a_folder(self, clip, tmp_path, capsys):
        assert "folder" in fails(capsys, "vocode", clip, SPEECH, "-o", tmp_path / "copy.wav")


class Test_mel:
    def test_in_a_folder_carries_its_convention(self, vocoder, model, clip, tmp_path):
        assert main(["mel", str(clip), "-o", str(tmp_path / "mels"), "--model", model]) == 0
        with np.load(tmp_path / "mels" / "speech.npz", allow_pickle=False) as content:
            mel, config = content["mel"], json.loads(str(content["config"]))
        assert mel.shape == (80, 85)
        assert mel.dtype == np.float32
        assert MelConfig(**config) == vocoder.config.mel

    def test_of_another_convention_comes_back_through_vocode(self, model, clip, tmp_path, capsys):
        own, matcha = tmp_path / "own.npy", tmp_path / "matcha.npy"
        assert main(["mel", str(clip), "-o", str(own), "--model", model]) == 0
        assert main(["mel", str(clip), "-o", str(matcha), "--convention", "matcha-22k"]) == 0
        expected = (np.load(own) + 5.536622) / 2.116101
        assert np.abs(np.load(matcha) - expected).max() < 1e-5
        outs = [tmp_path / "own.wav", tmp_path / "matcha.wav"]
        mores = [], ["--convention", "matcha-22k"]
        for mel, out, more in zip((own, matcha), outs, mores, strict=True):
            assert main(["vocode", str(mel), "-o", str(out), "--model", model, *more, *QUIET]) == 0
        sounds = [read_audio(out)[0] for out in outs]
        assert (sounds[0] - sounds[1]).abs().max() <= 2**-15
        refused = ["mel", str(clip), "-o", str(tmp_path / "x.npz"), "--convention", "matcha-22k"]
        assert main(refused) == 1
        assert "expected a file ending in .npy, .pt" in error_line(capsys)


class Test_score:
    def test_is_a_line_of_json_each(self, model, clip, capsys):
        assert main(["score", str(clip), str(clip), "--model", model]) == 0
        first, second = map(json.loads, capsys.readouterr().out.splitlines())
        assert first == second
        assert first["file"] == str(clip)
        assert first["seconds"] == 85 * 256 / 22050
        bits = 15 - first["nats_per_sample"] / np.log(2)
        assert first["bits_per_sample"] == pytest.approx(bits)


class Test_evaluate:
    @pytest.fixture
    def folder(self, clip, tmp_path):
        (tmp_path / "clips").mkdir()
        for name in ("a", "b"):
            (tmp_path / "clips" / f"{name}.wav").write_bytes(clip.read_bytes())
        return tmp_path / "clips"

    def test_prints_a_table_and_writes_a_report(self, folder, model, tmp_path, capsys):
        (tmp_path / "list.txt").write_text("b\n")
        split, out = str(tmp_path / "list.txt"), tmp_path / "report.json"
        arguments = ["evaluate", str(folder), "--split", split, "-o", str(out), "--model", model]
        assert main(arguments) == 0
        report = json.loads(out.read_text())
        lines = capsys.readouterr().out.splitlines()
        assert [clip["file"] for clip in report["clips"]] == [str(folder / "b.wav")]
        assert [line.split(" | ")[0] for line in lines[2:]] == ["| b.wav", "| all 1"]

    def test_refuses_a_list_of_clips_that_are_not_there(self, folder, model, tmp_path, capsys):
        (tmp_path / "list.txt").write_text("b\nc\n")
        line = fails(capsys, "evaluate", folder, "--split", tmp_path / "list.txt")
        assert "1 of 2" in line
        assert "such as c" in line

    def test_refuses_a_bad_clip_before_any_work(self, folder, model, tmp_path, capsys):
        (folder / "z.wav").write_text("no sound")
        out = tmp_path / "report.json"
        line = fails(capsys, "evaluate", folder, "-o", out, "--model", model)
        assert line.startswith(str(folder / "z.wav"))
        assert not out.exists()

    def test_names_the_extra_that_is_missing(self, folder, model, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "pesq", None)
        assert "waveflow[evaluate]" in fails(capsys, "evaluate", folder, "--model", model)


def without_weights(folder):
    (folder / "model.safetensors").unlink()


def with_truncated_weights(folder):
    truncate(folder / "model.safetensors", 5000)


def with_foreign_weights(folder):
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"]["channels"] = 24
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def with_nan_weights(folder):
    weights = load_file(folder / "model.safetensors")
    next(iter(weights.values())).view(-1)[0] = float("nan")
    save_file(weights, folder / "model.safetensors")


class Test_bad_models:
    @pytest.mark.parametrize(
        "spoil",
        [without_weights, with_truncated_weights, with_foreign_weights, with_nan_weights],
        ids=lambda spoil: spoil.__name__,
    )
    @pytest.mark.parametrize("command", ["vocode", "mel", "score", "evaluate"])
    def test_are_refused(self, spoil, command, vocoder, clip, tmp_path, capsys):
        folder = tmp_path / "model"
        vocoder.save_pretrained(folder)
        spoil(folder)
        out = [] if command in ("score", "evaluate") else ["-o", tmp_path / "out/"]
        assert str(folder) in fails(capsys, command, clip, *out, "--model", folder)
        assert not (tmp_path / "out").exists()

    def test_unknown_name(self, clip, tmp_path, capsys):
        line = fails(capsys, "vocode", clip, "-o", tmp_path / "x.wav", "--model", "nobody")
        assert "nobody" in line


class Test_train:
    @pytest.fixture
    def recipe(self, tmp_path):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({"model": TINY}))
        return path

    @pytest.fixture
    def run(self, monkeypatch):
        """Stands in for the module that needs Lightning."""
        calls = []

        def train(config, **options):
            calls.append((config, options))
            return types.SimpleNamespace(stopped_by=None, nats_per_sample=1.25, is_main=True)

        module = types.ModuleType("waveflow.training.run")
        module.train = train
        monkeypatch.setitem(sys.modules, "waveflow.training.run", module)
        return calls

    def test_hands_everything_on(self, recipe, run, capsys):
        options = "--data clips --out run --max-steps 7 --max-time 01:02:03 --seed 5".split()
        options += "--resume --init-from old --devices 2 --nodes 3 --device cpu".split()
        assert main(["train", str(recipe), *options]) == 0
        ((config, options),) = run
        assert config.vocoder == VocoderConfig.from_dict({"model": TINY})
        assert options == {
            "data": "clips",
            "out": "run",
            "resume": True,
            "max_time": timedelta(hours=1, minutes=2, seconds=3),
            "device": "cpu",
            "devices": 2,
            "nodes": 3,
        }
        assert config.optimizer.max_steps == 7
        assert config.run.seed == 5
        assert config.run.init_from == "old"
        assert "1.2500" in capsys.readouterr().out

    @pytest.mark.parametrize("time", ["90", "1:30", "00:60:00", "1h", "-1:00:00", ""])
    def test_refuses_other_times(self, time, recipe, run, capsys):
        options = ["--data", "clips", "--out", "run", f"--max-time={time}"]
        assert "HH:MM:SS" in fails(capsys, "train", recipe, *options, code=2)
        assert not run

    def test_names_an_unknown_key(self, recipe, run, capsys):
        recipe.write_text(yaml.safe_dump({"model": TINY, "optimizer": {"lerning_rate": 1}}))
        line = fails(capsys, "train", recipe, "--data", "clips", "--out", "run")
        assert "lerning_rate" in line
        assert not run

    def test_names_the_extra_that_is_missing(self, recipe, tmp_path, capsys, monkeypatch):
        monkeypatch.delitem(sys.modules, "waveflow.training.run", raising=False)
        monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
        monkeypatch.setitem(sys.modules, "lightning", None)
        line = fails(capsys, "train", recipe, "--data", "clips", "--out", tmp_path / "run")
        assert "waveflow[train]" in line
        assert not (tmp_path / "run").exists()

    def test_interrupted_is_as_any_command_interrupted(self, recipe, run, monkeypatch):
        def train(*args, **options):  # as Lightning does
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                sys.exit(1)

        monkeypatch.setattr(sys.modules["waveflow.training.run"], "train", train)
        assert main(["train", str(recipe), "--data", "clips", "--out", "run"]) == 130


class Test_info:
    def test_is_yaml(self, vocoder, model, capsys):
        assert main(["info", model]) == 0
        info = yaml.safe_load(capsys.readouterr().out)
        assert info["parameters"] == sum(weight.numel() for weight in vocoder.parameters())
        assert info["torch"] == torch.__version__
        assert info["hop_length"] == 256
        figure, unit = info["arithmetic"].split(" ", 1)
        assert unit == "GMAC per second of audio (synthesis)"
        assert 0 < float(figure) < 1
        assert VocoderConfig.from_dict(info["config"]) == vocoder.config


class Test_main:
    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ([], "COMMAND"),
            (["sing"], "sing"),
            (["vocode", "x.wav"], "out"),
            (["vocode", "x.wav", "-o", "y.wav", "--temperature", "-1"], "-1"),
            (["vocode", "x.wav", "-o", "y.wav", "--temperature", "inf"], "inf"),
            (["vocode", "x.wav", "-o", "y.wav", "--seed", "1.5"], "1.5"),
            (["vocode", "x.wav", "-o", "y.wav", "--device", "tpu"], "tpu"),
            (["vocode", "x.wav", "-o", "y.wav", "--temp", "1"], "--temp"),
            (["vocode", "x.wav", "-o", "y.wav", "--consistency", "10001"], "10001"),
            (["evaluate", "x.wav", "--consistency", "10001"], "10001"),
            (["export", "onnx", "-o", "y.onnx", "--consistency", "10001"], "10001"),
            (["bench", "--consistency", "10001"], "10001"),
        ],
    )
    def test_wrong_arguments_are_told_in_one_line(self, arguments, named, capsys):
        assert named in fails(capsys, *arguments, code=2)

    @pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
    def test_absent_device_is_told(self, clip, model, capsys):
        assert "cuda" in fails(capsys, "score", clip, "--model", model, "--device", "cuda")

    def test_interrupt_is_quiet(self, clip, capsys, monkeypatch):
        def interrupt(model):
            raise KeyboardInterrupt

        monkeypatch.setattr("waveflow.cli.score.load_vocoder", interrupt)
        assert main(["score", str(clip)]) == 130
        assert capsys.readouterr().err == ""

    def test_closed_stdout_is_quiet(self, clip, model, capsys, monkeypatch):
        class Closed(io.StringIO):
            def write(self, text):
                raise BrokenPipeError

        monkeypatch.setattr(sys, "stdout", Closed())
        assert main(["score", str(clip), str(clip), "--model", model]) == 141
        assert capsys.readouterr().err == ""

    def test_debugging_shows_the_traceback(self, monkeypatch):
        monkeypatch.setenv("WAVEFLOW_DEBUG", "1")
        with pytest.raises(FileNotFoundError):
            main(["info", "nobody"])

    @pytest.mark.parametrize("command", ["vocode", "mel", "score", "evaluate", "train", "info"])
    def test_every_command_has_help_with_an_example(self, command, capsys):
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert f"Examples:\n  waveflow {command}" in capsys.readouterr().out

    def test_help_imports_nothing_heavy(self):
        script = """
import sys, types
package = types.ModuleType("waveflow")  # without what its __init__ imports
package.__path__ = ["waveflow"]
sys.modules["waveflow"] = package
from waveflow.cli import main
try:
    main(["vocode", "--help"])
finally:
    assert not {"torch", "numpy", "librosa", "lightning"} & set(sys.modules)
"""
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True)

    def test_as_a_module_needs_no_lightning_to_score(self, clip, model):
        script = f"""
import runpy, sys
sys.modules["lightning"] = None
sys.argv = ["waveflow", "score", {str(clip)!r}, "missing.wav", "--model", {model!r}]
runpy.run_module("waveflow", run_name="__main__")
"""
        run = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 1
        assert json.loads(run.stdout)["file"] == str(clip)
        assert run.stderr == "waveflow: error: missing.wav: No such file or directory\n"


class Piped:
    """Ways to give a command something that can be read once only."""

    def __init__(self, way, folder, monkeypatch):
        self.way, self.folder, self.monkeypatch = way, folder, monkeypatch
        self.opened = contextlib.ExitStack()

    def __call__(self, contents):
        """The name to give."""
        read, write = os.pipe()
        path = self.folder / "fifo"
        if self.way == "fifo":
            os.close(write)
            path.unlink(missing_ok=True)
            os.mkfifo(path)

        def feed():
            target = path if self.way == "fifo" else write
            with contextlib.suppress(BrokenPipeError), open(target, "wb") as pipe:
                pipe.write(contents)

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        source = self.opened.enter_context(os.fdopen(read))
        self.opened.callback(feeder.join, 10)
        if self.way == "-":
            self.monkeypatch.setattr("sys.stdin", source)
        return {"-": "-", "fifo": str(path), "fd": f"/dev/fd/{read}"}[self.way]


@pytest.fixture(params=["-", "fifo", "fd"])
def piped(request, tmp_path, monkeypatch):
    pipes = Piped(request.param, tmp_path, monkeypatch)
    with pipes.opened:
        yield pipes


@pytest.fixture
def stdin(tmp_path, monkeypatch):
    pipes = Piped("-", tmp_path, monkeypatch)
    with pipes.opened:
        yield pipes


class Test_pipes:
    """Inputs that can be read once, and outputs that go on in a pipe."""

    @pytest.mark.parametrize("kind", ["recording", "npz", "npy", "pt"])
    def test_vocode_reads_a_pipe_as_the_file(self, piped, kind, clip, model, tmp_path, capsys):
        file = clip
        if kind != "recording":
            file = tmp_path / f"mel.{kind}"
            assert main(["mel", str(clip), "-o", str(file), "--model", model]) == 0
        how = ["--model", model, *QUIET]
        assert main(["vocode", str(file), "-o", str(tmp_path / "file.wav"), *how]) == 0
        name = piped(file.read_bytes())
        assert main(["vocode", name, "-o", str(tmp_path / "pipe.wav"), *how]) == 0
        assert (tmp_path / "pipe.wav").read_bytes() == (tmp_path / "file.wav").read_bytes()
        assert not capsys.readouterr().out

    def test_mel_and_score_read_a_pipe_as_the_file(self, piped, clip, model, tmp_path, capsys):
        contents = clip.read_bytes()
        assert main(["mel", str(clip), "-o", str(tmp_path / "a.npy"), "--model", model]) == 0
        assert main(["score", str(clip), "--model", model]) == 0
        expected = json.loads(capsys.readouterr().out)
        arguments = ["-o", str(tmp_path / "b.npy"), "--model", model]
        assert main(["mel", piped(contents), *arguments]) == 0
        assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
        name = piped(contents)
        assert main(["score", name, "--model", model]) == 0
        assert json.loads(capsys.readouterr().out) == expected | {"file": name}

    def test_stdout_holds_the_data_alone(self, stdin, clip, model, tmp_path, capfdbinary):
        how = ["--model", model, *QUIET]
        assert main(["vocode", str(clip), "-o", str(tmp_path / "a.wav"), *how]) == 0
        assert main(["mel", str(clip), "-o", str(tmp_path / "a.npz"), "--model", model]) == 0
        assert not capfdbinary.readouterr().out
        assert main(["vocode", str(clip), "-o", "-", *how]) == 0
        assert capfdbinary.readouterr().out == (tmp_path / "a.wav").read_bytes()
        assert main(["mel", str(clip), "-o", "-", "--model", model]) == 0
        written = capfdbinary.readouterr().out
        with np.load(io.BytesIO(written)) as one, np.load(tmp_path / "a.npz") as other:
            assert np.array_equal(one["mel"], other["mel"])
        assert main(["vocode", stdin(written), "-o", "-", *how]) == 0
        assert capfdbinary.readouterr().out == (tmp_path / "a.wav").read_bytes()
        assert not os.path.exists("-")

    @pytest.mark.parametrize("command", ["vocode", "mel", "score"])
    def test_what_a_pipe_holds_is_told_by_its_name(self, piped, command, model, tmp_path, capsys):
        out = [] if command == "score" else ["-o", str(tmp_path / "out.npy")]
        if command == "vocode":
            out = ["-o", str(tmp_path / "out.wav")]
        name = piped(b"no sound")
        line = fails(capsys, command, name, *out, "--model", model)
        assert line.startswith(f"{name}: expected a whole sound file")

    def test_a_folder_of_outputs_names_stdin(self, stdin, clip, model, tmp_path):
        name = stdin(clip.read_bytes())
        assert main(["vocode", name, "-o", f"{tmp_path}/out/", "--model", model, *QUIET]) == 0
        assert os.listdir(tmp_path / "out") == ["stdin.wav"]

    def test_what_cannot_go_through_a_pipe_is_refused(self, clip, model, tmp_path, capsys):
        line = fails(capsys, "mel", clip, clip, "-o", "-", "--model", model)
        assert line == "--out: expected a folder for more than a single file; got -"
        line = fails(capsys, "vocode", "-", "-o", f"{tmp_path}/", "--devices", 2, "--model", model)
        assert line.startswith("-: expected a file that 2 devices can read")

    def test_closed_stdin_is_told(self, model, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("sys.stdin", None)
        line = fails(capsys, "vocode", "-", "-o", tmp_path / "a.wav", "--model", model)
        assert line == "-: expected a sound or a mel on stdin; it is closed"

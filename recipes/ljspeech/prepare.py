"""The corpus of ``train.sh``: its download, its check, and its split into lists of clips."""

from __future__ import annotations

import argparse
import shutil
import signal
import struct
import sys
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from waveflow.io.signals import INTERRUPTED, end_when_interrupted, raise_when_interrupted

if __name__ == "__main__":
    end_when_interrupted()  # while modules load

import soundfile

from waveflow.audio.clip_list import clip_id, find_clips, read_list
from waveflow.cli.messages import report
from waveflow.io.atomic import write_atomically
from waveflow.io.folders import SOUNDS, files_below
from waveflow.io.paths import as_path

SPLITS = Path(__file__).resolve().parents[2] / "data" / "splits"
NAME = "LJSpeech-1.1"
CLIPS, RATE = 13_100, 22_050
"""Of the whole of LJSpeech."""
BY_HAND = (
    f"get {NAME}.tar.bz2 by hand (https://keithito.com/LJ-Speech-Dataset/), unpack it, and pass "
    f"--data {NAME}"
)


def download(root: Path, url: str | None = None) -> str:
    """Download and unpack LJSpeech into ``root``; a whole corpus there is left alone.

    torchaudio checks the archive, but takes any ``wavs`` folder for a whole corpus, even what an
    interrupted extraction left; so a corpus that is not whole is set aside and extracted again.
    """
    try:
        from torchaudio.datasets import LJSPEECH
    except ImportError as error:
        raise ImportError(f"downloading needs pip install 'waveflow[recipe]' ({error})") from error
    folder, aside = root / NAME, root / f"{NAME}.incomplete"
    archive = root / f"{NAME}.tar.bz2"
    root.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        if not (problem := lack(folder)):
            return f"{folder} is whole"
        print(f"{folder}: {problem}; extracting it again", flush=True)
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    try:
        LJSPEECH(root, download=True, **({} if url is None else {"url": url}))
        problem = lack(folder)
    except (OSError, RuntimeError, EOFError, tarfile.TarError) as error:
        problem = str(error) or type(error).__name__
    if problem:
        shutil.rmtree(folder, ignore_errors=True)
        damaged = f" without {archive}, which may be damaged," if archive.exists() else ""
        raise ValueError(f"the download failed: {problem}; try again{damaged} or {BY_HAND}")
    shutil.rmtree(aside, ignore_errors=True)
    return f"{folder} is whole; {archive} is no longer needed"


def lack(folder: Path) -> str:
    """What a downloaded corpus lacks, or nothing."""
    if not (folder / "metadata.csv").is_file():
        return "it has no metadata.csv"
    if (count := len(read_list(folder / "metadata.csv"))) != CLIPS:
        return f"expected {CLIPS} clips in metadata.csv; got {count}"
    bad = faults(folder)
    return f"{len(bad)} clips are bad, such as {bad[0]}" if bad else ""


def faults(folder: Path) -> list[str]:
    """The bad clips of a corpus, each with what is wrong with it."""
    if (folder / "metadata.csv").is_file():
        found = {clip_id(path.stem) for path in files_below(folder, SOUNDS)}
        ids = read_list(folder / "metadata.csv")
        if missing := [f"{name} (missing)" for name in ids if name not in found]:
            return missing
    clips = find_clips(folder)
    return [f"{name} ({what})" for name, path in clips.items() if (what := fault(path))]


def fault(path: Path) -> str:
    """What is wrong with a recording, or nothing, from its header and its last sample."""
    try:
        with soundfile.SoundFile(path) as file:
            if not file.frames:
                return "empty"
            file.seek(file.frames - 1)
            whole = len(file.read(1)) == 1
    except (OSError, RuntimeError):
        return "unreadable"
    return "" if whole and not is_cut(path) else "cut short"


def is_cut(path: Path) -> bool:
    """Whether a WAV file is shorter than its header says, which soundfile does not mind."""
    with path.open("rb") as file:
        riff = file.read(12)[:4] == b"RIFF"
        while riff and len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data":  # a stream of unknown length says 2^32 - 1
                return size < 2**32 - 1 and file.tell() + size > path.stat().st_size
            file.seek(size + size % 2, 1)
        return riff


def verify(folder: Path) -> str:
    """Check every clip of a corpus; a line about them."""
    if bad := faults(folder):
        some = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
        raise ValueError(f"{folder}: expected whole recordings; got {len(bad)} bad clips: {some}")
    infos = [soundfile.info(path) for path in find_clips(folder).values()]
    hours = sum(info.frames / info.samplerate for info in infos) / 3600
    kinds = Counter((info.samplerate, info.channels) for info in infos)
    text = ", ".join(f"{n} at {rate} Hz × {c}" for (rate, c), n in kinds.most_common())
    whole = len(infos) == CLIPS and set(kinds) == {(RATE, 1)}
    part = "" if whole else f"; the whole of LJSpeech is {CLIPS} clips at {RATE} Hz × 1"
    return f"{len(infos)} clips, {hours:.2f} hours; rates and channels: {text}{part}"


def split(folder: Path, which: str, out: Path) -> str:
    """Write the ids of training, validation and test clips that are there; a line about them."""
    name = {"ours": "ljspeech_validation.txt", "hifigan": "hifigan_validation.txt"}[which]
    test = set(read_list(SPLITS / "ljspeech_test.txt"))
    validation = set(read_list(SPLITS / name)) - test
    ids = list(find_clips(folder))
    parts = {
        "training": [clip for clip in ids if clip not in validation | test],
        "validation": [clip for clip in ids if clip in validation],
        "test": [clip for clip in ids if clip in test],
    }
    sizes = ", ".join(f"{len(clips)} {part}" for part, clips in parts.items())
    if not all(parts.values()):
        raise ValueError(f"{folder}: expected clips in each part of split {which}; got {sizes}")
    out.mkdir(parents=True, exist_ok=True)
    for part, clips in parts.items():
        write_atomically(out / f"{part}.txt", "".join(f"{clip}\n" for clip in clips).encode())
    return f"{sizes} clips"


def main() -> None:
    """Do one of these."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("download", help="LJSpeech into ROOT/LJSpeech-1.1")
    command.add_argument("root")
    command.add_argument("--url", help="of the archive, if not torchaudio's")
    command = commands.add_parser("verify", help="that every clip is there and whole")
    command.add_argument("folder")
    command = commands.add_parser("split", help="write training.txt, validation.txt, test.txt")
    command.add_argument("folder")
    command.add_argument("--which", choices=("ours", "hifigan"), default="ours")
    command.add_argument("--out", required=True)
    arguments = vars(parser.parse_args())
    works: dict[str, Callable[..., str]] = {"download": download, "verify": verify, "split": split}
    work = works[arguments.pop("command")]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no temporary file is left
    raise_when_interrupted()
    try:
        for name in {"root", "folder", "out"} & arguments.keys():
            arguments[name] = as_path(arguments[name])
        report(work(**arguments))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"prepare.py: error: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()

"""Recordings are copy-synthesised, mel spectrograms synthesised.

A recording is resampled to the model's rate, cut to whole hops, turned into a mel, and made
again from that. A mel is (n_mels, frames) or (1, n_mels, frames), natural log, in an .npy, an
.npz with an array "mel", or a .pt with a tensor; an .npz of `waveflow mel` says how it was
made and is refused by a model that reads another kind. Files that hold objects are refused.
--convention says which of the named conventions all mels are of (the table is in
docs/mel_conventions.md); they are converted exactly, or refused.

Of a folder, all recordings and mels below it are taken, and the tree is kept below OUT. What is
there already is left as it is, whatever made it, so the same command goes on where it was
interrupted; a single FILE is always made anew. A file that fails is told and loses no other.
Length is no matter: a recording, or an .npy, of hours is read, vocoded and written piece by piece.
FILE may be - for stdin, or a pipe, a recording or a mel by its content; OUT may be - for stdout, a
WAV.

--devices N shares the files among N processes, each with a GPU or a thread of its own; on a CPU
a file's sound is the same to the bit. A single FILE takes all threads, as torch has them, which
may round otherwise.

Examples:
  waveflow vocode speech.wav -o copy.wav
  waveflow vocode mels/*.npz -o sounds/ --temperature 0.8
  waveflow vocode mel.npy -o speech.wav --convention matcha-22k
  cat speech.wav | waveflow vocode - -o - | aplay
  waveflow vocode corpus -o copies --model ljspeech-hq --devices 8
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from waveflow.cli.arguments import (
    add_model,
    add_out,
    add_synthesis,
    load_vocoder,
    number,
)
from waveflow.cli.files import (
    PIPE,
    find_files,
    is_pipe,
    plan_outputs,
)
from waveflow.cli.messages import EXPECTED, say, show_warning, tell
from waveflow.devices import choose_device
from waveflow.io.folders import MELS, SOUNDS, WRITABLE
from waveflow.io.signals import sigterm_interrupts

if TYPE_CHECKING:
    from waveflow.cli.sounds import Sound, SoundMaker, Synthesis

SUMMARY = "mel spectrograms, or recordings by way of theirs, to sound"

_BAR = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"


def describe(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE_OR_FOLDER",
        help="recordings or mel spectrograms, or folders of them",
    )
    add_out(parser, "sound file (.wav, .flac) of a single FILE, or folder for <stem>.wav of each")
    add_model(parser)
    add_synthesis(parser)
    parser.add_argument(
        "--denoise",
        type=number(float),
        default=0.0,
        metavar="S",
        help="take out what the model sounds like in silence, S times, such as 0.1 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--convention",
        metavar="NAME",
        help="of the mels, such as matcha-22k, if it is not the model's own (default: the model's)",
    )
    parser.add_argument(
        "--devices",
        type=number(int, low=1),
        default=1,
        metavar="N",
        help="that share the files; on a CPU, processes of a thread each (default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="make anew what is there already")


def work(arguments: Namespace) -> int:
    """Write the sound of every file; the result is the exit code."""
    sources = [Path(file) for file in arguments.files]
    single = len(sources) == 1 and not sources[0].is_dir()
    with sigterm_interrupts():
        pairs, there = _plan(sources, arguments, keep=not (single or arguments.overwrite))
        if not pairs:
            _say_skipped(there)
            return 0
        device = choose_device(arguments.device)
        if there:
            _say_skipped(there)
        return int(not _make(pairs, arguments, device, threads=None if single else 1))


def _plan(
    sources: list[Path], arguments: Namespace, *, keep: bool
) -> tuple[list[tuple[Path, Path]], int]:
    """Files and their outputs that are to be made, and how many others are there and kept."""
    files = find_files(sources, arguments.out, SOUNDS + MELS)
    has_folder = any(source.is_dir() for source in sources)
    outputs = plan_outputs(
        list(files),
        arguments.out,
        WRITABLE,
        names=list(files.values()) if has_folder else None,
    )
    pipes = [file for file in files if is_pipe(file)]
    if pipes and arguments.devices > 1:
        raise ValueError(f"{pipes[0]}: expected files that {arguments.devices} devices can read")
    pairs = list(zip(files, outputs, strict=True))
    missing = [(file, output) for file, output in pairs if not (keep and os.path.exists(output))]
    return missing, len(pairs) - len(missing)


def _say_skipped(count: int) -> None:
    say(f"{count} of the outputs are there already and stay (--overwrite makes them anew)")


def _make(
    pairs: list[tuple[Path, Path]],
    arguments: Namespace,
    device: str,
    *,
    threads: int | None,
) -> bool:
    """Make sounds, the longest first; whether all could be made."""
    from tqdm import tqdm

    from waveflow.cli.sounds import Sound, SoundMaker, Synthesis
    from waveflow.io.atomic import remove_leftovers

    vocoder = load_vocoder(arguments.model)
    synthesis = Synthesis(
        arguments.temperature,
        arguments.consistency,
        arguments.seed,
        arguments.denoise,
        arguments.convention,
    )
    maker = SoundMaker(vocoder, synthesis)
    sounds = [maker.measured(Sound(file, output)) for file, output in pairs]
    sounds.sort(key=lambda sound: -sound.seconds)
    remove_leftovers(sound.output for sound in sounds if str(sound.output) != PIPE)
    total = sum(sound.seconds for sound in sounds)
    with tqdm(total=total, bar_format=_BAR, leave=False, disable=None) as bar:
        if arguments.devices > 1:
            from waveflow.cli.workers import share

            prepare = partial(_prepared, arguments.model, synthesis)
            done = lambda sound: bar.update(sound.seconds)  # noqa: E731
            return share(prepare, sounds, device, arguments.devices, done=done)
        vocoder.to(device)
        with _threads(threads):
            return all([_one(maker, bar.update, sound) for sound in sounds])


def _prepared(model: str, synthesis: Synthesis, device: str) -> Callable[[Sound], bool]:
    """What makes one sound after the other in a process of its own."""
    from waveflow.cli.sounds import SoundMaker

    warnings.showwarning = show_warning
    vocoder = load_vocoder(model)
    return partial(_one, SoundMaker(vocoder.to(device), synthesis), lambda seconds: None)


def _one(maker: SoundMaker, progress: Callable[[float], object], sound: Sound) -> bool:
    """Make one sound; one that fails is told."""
    try:
        maker(sound, progress)
    except BrokenPipeError:
        raise
    except EXPECTED as error:
        tell(error, sound.file)
        return False
    return True


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with so many threads, on which the rounding depends; None leaves them as they are."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

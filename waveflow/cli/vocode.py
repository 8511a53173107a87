"""Synthesise speech from mel spectrograms, or copy-synthesise recordings.

A recording is resampled to the model's rate, cut to whole hops, converted to a mel, and synthesised
from that mel. A mel is (n_mels, frames) or (1, n_mels, frames), natural log, in an .npy file, an
.npz file with an array "mel", or a .pt file with a tensor. An .npz of `waveflow mel` stores its
convention, and a model that reads another one refuses it. Files that hold objects are refused.
--convention names the convention of all mels (docs/mel_conventions.md has the table); they are
converted exactly, or refused.

A folder stands for all recordings and mels below it, and its tree is kept below OUT. Existing
outputs are skipped, so the same command resumes after an interruption; the output of a single FILE
is always overwritten. A failing file is reported, and the others are still processed. Files of any
length work: recordings and .npy files are read, vocoded and written piece by piece. FILE may be a
pipe, or "-" for stdin, with a recording or a mel. OUT may be "-" for stdout, as WAV.

--devices N shares the files among N processes, each with its own GPU, or on the CPU its own thread.
On a CPU, a file has the same sound for every N, bit for bit. A single FILE uses all of torch's
threads, which may change the rounding.

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
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from waveflow.cli.arguments import add_model, add_out, add_synthesis, load_vocoder, number
from waveflow.cli.files import PIPE, attempt, find_files, is_pipe, plan_outputs
from waveflow.cli.messages import say, show_warning
from waveflow.devices import choose_device
from waveflow.io.folders import MELS, SOUNDS, WRITABLE
from waveflow.io.signals import sigterm_interrupts

if TYPE_CHECKING:
    from waveflow.cli.sounds import SoundMaker
    from waveflow.vocoder import Vocoder

SUMMARY = "synthesise speech from mel spectrograms or recordings"

_BAR = "{l_bar}{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}]"


class Sound(NamedTuple):
    """An input file, its output, and the length of the sound in seconds, 0 if it is unknown."""

    file: Path
    output: Path
    seconds: float


def add_arguments(parser: ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE_OR_FOLDER",
        help="recordings, mel spectrograms, or folders of them",
    )
    add_out(parser, "sound file (.wav, .flac) of a single FILE, or folder for <stem>.wav of each")
    add_model(parser)
    add_synthesis(parser)
    parser.add_argument(
        "--denoise",
        type=number(float),
        default=0.0,
        metavar="S",
        help="subtract S times the sound that the model makes in silence, such as 0.1 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--convention",
        metavar="NAME",
        help="convention of the mels, such as matcha-22k (default: the model's own)",
    )
    parser.add_argument(
        "--devices",
        type=number(int, low=1),
        default=1,
        metavar="N",
        help="devices that share the files; on a CPU, processes of one thread each "
        "(default: %(default)s)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing outputs")


def run(arguments: Namespace) -> int:
    """Write the sound of every file; the result is the exit code."""
    sources = [Path(file) for file in arguments.files]
    single = len(sources) == 1 and not sources[0].is_dir()
    with sigterm_interrupts():
        pairs, skipped = _plan(sources, arguments, keep=not (single or arguments.overwrite))
        if skipped:
            say(f"skipped {skipped} existing outputs (--overwrite replaces them)")
        if not pairs:
            return 0
        return int(not _make(pairs, arguments, threads=None if single else 1))


def _plan(
    sources: list[Path], arguments: Namespace, *, keep: bool
) -> tuple[list[tuple[Path, Path]], int]:
    """The files to vocode with their outputs, and the number of existing outputs to keep."""
    files = find_files(sources, arguments.out, SOUNDS + MELS)
    has_folder = any(source.is_dir() for source in sources)
    outputs = plan_outputs(
        list(files), arguments.out, WRITABLE, names=list(files.values()) if has_folder else None
    )
    pipes = [file for file in files if is_pipe(file)]
    if pipes and arguments.devices > 1:
        raise ValueError(f"{pipes[0]}: expected a file that {arguments.devices} devices can read")
    pairs = list(zip(files, outputs, strict=True))
    missing = [(file, output) for file, output in pairs if not (keep and os.path.exists(output))]
    return missing, len(pairs) - len(missing)


def _make(pairs: list[tuple[Path, Path]], arguments: Namespace, *, threads: int | None) -> bool:
    """Vocode the files, the longest first; the result is whether all succeeded."""
    from tqdm import tqdm

    from waveflow.cli.sounds import SoundMaker
    from waveflow.io.atomic import remove_leftovers

    device = choose_device(arguments.device)
    vocoder = load_vocoder(arguments.model)
    make = partial(
        SoundMaker,
        temperature=arguments.temperature,
        consistency=arguments.consistency,
        seed=arguments.seed,
        denoise=arguments.denoise,
        convention=arguments.convention,
    )
    maker = make(vocoder)
    sounds = [Sound(file, output, maker.seconds(file)) for file, output in pairs]
    sounds.sort(key=lambda sound: -sound.seconds)
    remove_leftovers(sound.output for sound in sounds if str(sound.output) != PIPE)
    total = sum(sound.seconds for sound in sounds)
    with tqdm(total=total, bar_format=_BAR, leave=False, disable=None) as bar:
        if arguments.devices > 1:
            from waveflow.cli.workers import share

            return share(
                partial(_prepared, arguments.model, make),
                sounds,
                device,
                arguments.devices,
                done=lambda sound: bar.update(sound.seconds),
            )
        vocoder.to(device)
        with _threads(threads):
            work = partial(maker, progress=bar.update)
            return all([attempt(work, sound.file, sound.output) for sound in sounds])


def _prepared(
    model: str, make: Callable[[Vocoder], SoundMaker], device: str
) -> Callable[[Sound], bool]:
    """The function of a process that vocodes one file after the other."""
    warnings.showwarning = show_warning
    work = partial(make(load_vocoder(model).to(device)), progress=lambda seconds: None)
    return lambda sound: attempt(work, sound.file, sound.output)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Compute with ``count`` threads, which rounding depends on; None keeps the number."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""The files that a command reads and writes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from waveflow.cli.messages import EXPECTED, tell

AUDIO_OUTPUTS = (".wav", ".flac")
MEL_OUTPUTS = (".npz", ".npy", ".pt")

Other = TypeVar("Other")


def plan_outputs(files: list[Path], out: str, suffixes: tuple[str, ...]) -> list[Path]:
    """One output a file: ``out`` itself, or in the folder ``out``, in the first of ``suffixes``.

    Raises:
        ValueError: an output that would overwrite an input or another output, and what is neither
            a folder nor a file of a known kind.
    """
    outputs = _name_outputs(files, out, suffixes)
    planned: dict[Path, Path] = {}
    for file, output in zip(files, outputs, strict=True):
        if output in planned:
            raise ValueError(f"{planned[output]} and {file} would both be written to {output}")
        planned[output] = file
    for output in outputs:
        if output.exists() and any(file.exists() and output.samefile(file) for file in files):
            raise ValueError(f"{output}: expected an output that is not an input, too")
    return outputs


def _name_outputs(files: list[Path], out: str, suffixes: tuple[str, ...]) -> list[Path]:
    target = Path(out)
    kinds = ", ".join(suffixes)
    is_folder = target.is_dir() or out.endswith(("/", os.sep)) or not target.suffix
    if is_folder:
        if target.exists() and not target.is_dir():
            raise ValueError(f"--out: expected a folder, or a file in {kinds}; got the file {out}")
        return [target / f"{file.stem}{suffixes[0]}" for file in files]
    if target.suffix.lower() not in suffixes:
        raise ValueError(
            f"--out: expected a file in {kinds}, or a folder (end the name of a new one with a "
            f"slash); got {out}"
        )
    if len(files) > 1:
        raise ValueError(f"--out: expected a folder for {len(files)} files; got {out}")
    return [target]


def each(files: list[Path], work: Callable[[Path, Other], None], others: Sequence[Other]) -> int:
    """Work on every file, with what belongs to it; one that fails is told and loses no other.

    The result is the exit code: 0, or 1 if a file failed.
    """
    from tqdm import tqdm

    failed = False
    bar = tqdm(files, unit="file", leave=False, disable=None if len(files) > 1 else True)
    for file, other in zip(bar, others, strict=True):
        try:
            work(file, other)
        except BrokenPipeError:
            raise
        except EXPECTED as error:
            tell(error, file)
            failed = True
    return int(failed)


def choose_clips(sources: list[Path], split: str | None) -> list[Path]:
    """The files among ``sources`` and in its folders; of these those that a list names.

    Raises:
        ValueError: a list ``split`` that is empty, or names clips that are not there.
        OSError: a folder or a list that cannot be read.
    """
    from waveflow.training.corpus import find_clips, read_list

    paths: list[Path] = []
    for source in sources:
        paths += find_clips(source).values() if source.is_dir() else [source]
    paths = list(dict.fromkeys(paths))
    if split is None:
        return paths
    ids = read_list(split)
    wanted = set(ids)
    chosen = [path for path in paths if path.stem in wanted]
    missing = wanted - {path.stem for path in chosen}
    if missing or not ids:
        raise ValueError(
            f"{split}: expected ids of clips that were given; {len(missing)} of {len(wanted)} "
            f"were not" + (f", such as {min(missing)}" if missing else "")
        )
    return chosen

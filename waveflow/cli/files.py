"""The files that a command reads and writes."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path, PosixPath
from typing import TypeVar

from waveflow.cli.messages import EXPECTED, Undelivered, delivering, report_error
from waveflow.io.folders import files_below
from waveflow.io.pipes import copy_bounded

PIPE = "-"
"""The name that means stdin as an input and stdout as an output."""

Other = TypeVar("Other")


class PipeCopy(PosixPath):
    """A temporary file with the content of a pipe; messages show the name of the pipe."""

    pipe: str

    @classmethod
    def of(cls, pipe: Path, folder: str, suffix: str) -> PipeCopy:
        """The temporary file for a pipe, in an existing folder."""
        made = cls(folder, f"pipe{suffix}")
        made.pipe = str(pipe)
        return made

    def __fspath__(self) -> str:
        return super().__str__()

    def __str__(self) -> str:
        return getattr(self, "pipe", super().__str__())


def is_pipe(file: Path) -> bool:
    """Whether a file can be read only once: ``-``, a named pipe, ``/dev/stdin``, ``<(...)``."""
    return str(file) == PIPE or (file.exists() and not file.is_file() and not file.is_dir())


@contextmanager
def regular_file(file: Path) -> Iterator[Path]:
    """An input as a file that can be read repeatedly and in any order; a pipe is copied to one.

    If the input is a mel, the suffix of the copy is that of its format.

    Raises:
        OSError: the input cannot be read.
        ValueError: stdin is closed, or a pipe holds more than ``waveflow.io.pipes.MOST_PIPED``
            bytes.
    """
    if not is_pipe(file):
        yield file
        return
    if str(file) == PIPE and sys.stdin is None:
        raise ValueError(f"{file}: expected a sound or a mel on stdin; it is closed")
    with tempfile.TemporaryDirectory(prefix="waveflow-") as folder:
        copy = PipeCopy.of(file, folder, file.suffix)
        pipe = nullcontext(sys.stdin.buffer) if str(file) == PIPE else file.open("rb")
        with copy.open("wb") as target, pipe as source:
            copy_bounded(source, target, file)
        named = PipeCopy.of(file, folder, _suffix_of_mel(copy) or file.suffix)
        os.replace(copy, named)
        yield named


def _suffix_of_mel(file: Path) -> str | None:
    """The suffix for the format of a mel; None if the file is not a mel."""
    with file.open("rb") as opened:
        start = opened.read(6)
    if start == b"\x93NUMPY":
        return ".npy"
    if start[:2] == b"\x80\x02":  # a pickle, as torch before 1.6 wrote
        return ".pt"
    if not zipfile.is_zipfile(file):
        return None
    with zipfile.ZipFile(file) as archive:
        return ".pt" if any(name.endswith("/data.pkl") for name in archive.namelist()) else ".npz"


@contextmanager
def output_file(output: Path, suffix: str) -> Iterator[Path]:
    """The path to write an output to; its folder is created.

    For stdout the path is a temporary file, which is copied to stdout at the end.

    Args:
        output: planned output, or ``-`` for stdout.
        suffix: suffix of the temporary file, such as ``.wav``.
    """
    if str(output) != PIPE:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="waveflow-") as folder:
        file = PipeCopy.of(output, folder, suffix)
        yield file
        with file.open("rb") as written, delivering():
            shutil.copyfileobj(written, sys.stdout.buffer)
            sys.stdout.buffer.flush()


def check_output(option: str, file: str, suffix: str = "") -> None:
    """Refuse an output before any work.

    Args:
        option: option that names the output, for the error.
        file: planned output.
        suffix: suffix that the output must have; any by default.

    Raises:
        ValueError: the output has another suffix.
        FileNotFoundError: its folder does not exist.
    """
    if not file.lower().endswith(suffix):
        raise ValueError(f"{option}: expected a file ending in {suffix}; got {file}")
    if not Path(file).parent.is_dir():
        raise FileNotFoundError(f"{option}: expected the folder of {file} to exist")


def find_files(sources: list[Path], out: str, suffixes: tuple[str, ...]) -> dict[Path, Path]:
    """The files that ``sources`` name or contain, each with its path below the folder ``out``.

    A folder contributes the files with one of ``suffixes`` in the tree below it (see
    :func:`waveflow.io.folders.files_below`), except those in ``out``; their paths below ``out`` are
    those in the tree. Any other source is a file, and its path below ``out`` is its name.

    Raises:
        ValueError: a folder has no such files, or is ``out`` itself.
        OSError: a folder that cannot be read.
    """
    files: dict[Path, Path] = {}
    for source in sources:
        if not source.is_dir():
            files[source] = _relative(source)
            continue
        target = Path(out).absolute().resolve()
        if target == source.resolve():
            raise ValueError(f"--out: expected another folder than {source}; got {out}")
        inside = files_below(source, suffixes, but=target)
        if not inside:
            raise ValueError(f"{source}: expected files ending in {', '.join(suffixes)}; got none")
        files |= {file: file.relative_to(source) for file in inside}
    return files


def _relative(file: Path) -> Path:
    """The path of a file below a folder of outputs."""
    return Path("stdin") if str(file) == PIPE else Path(file.name)


def plan_outputs(
    files: list[Path],
    out: str,
    suffixes: tuple[str, ...],
    *,
    names: list[Path] | None = None,
) -> list[Path]:
    """The output of each file: ``out`` itself, or a file in the folder ``out``.

    A file in a folder gets the first of ``suffixes``.

    Args:
        files: inputs.
        out: output file or folder, or ``-`` for stdout.
        suffixes: suffixes that an output file may have.
        names: one path below the folder ``out`` for each file, whose suffix is replaced; ``out``
            must then be a folder. None takes the files' own names.

    Raises:
        ValueError: an output would overwrite an input or another output, or ``out`` is neither a
            folder nor a file with one of ``suffixes``.
    """
    outputs = _name_outputs(files, out, suffixes, names)
    planned: dict[Path, Path] = {}
    for file, output in zip(files, outputs, strict=True):
        if output in planned:
            raise ValueError(f"{planned[output]} and {file} would both be written to {output}")
        planned[output] = file
    inputs = {_identity(file) for file in files} - {None}
    for output in outputs:
        if _identity(output) in inputs:
            raise ValueError(f"{output}: expected an output that is not an input as well")
    return outputs


def _identity(path: Path) -> tuple[int, int] | None:
    """The device and inode of a file, the same for all its names; None if there is no file."""
    try:
        stat = path.stat()
    except (OSError, ValueError):
        return None
    return stat.st_dev, stat.st_ino


def _name_outputs(
    files: list[Path], out: str, suffixes: tuple[str, ...], names: list[Path] | None
) -> list[Path]:
    target, kinds = Path(out), ", ".join(suffixes)
    is_folder = target.is_dir() or out.endswith(("/", os.sep)) or not target.suffix
    if is_folder and out != PIPE:
        if target.exists() and not target.is_dir():
            raise ValueError(f"--out: expected a folder, or a file ending in {kinds}; got {out}")
        paths = names or [_relative(file) for file in files]
        return [target / path.parent / f"{path.stem}{suffixes[0]}" for path in paths]
    if target.suffix.lower() not in suffixes and out != PIPE:
        raise ValueError(
            f"--out: expected a file ending in {kinds}, or a folder (end the name of a new folder "
            f"with a slash); got {out}"
        )
    if names is not None:
        raise ValueError(f"--out: expected a folder, because an input is a folder; got {out}")
    if len(files) > 1:
        raise ValueError(f"--out: expected a folder for more than a single file; got {out}")
    return [target]


def for_each_file(
    files: list[Path], work: Callable[[Path, Other], object], others: Sequence[Other]
) -> int:
    """Call ``work`` on every file and its companion in ``others``.

    A file that fails is reported, and the others are still processed. The result is the exit code:
    0, or 1 if a file failed.
    """
    from tqdm import tqdm

    bar = tqdm(files, unit="file", leave=False, disable=None if len(files) > 1 else True)
    succeeded = [attempt(work, file, other) for file, other in zip(bar, others, strict=True)]
    return int(not all(succeeded))


def attempt(work: Callable[[Path, Other], object], file: Path, other: Other) -> bool:
    """Call ``work`` on a file and its companion; the result is whether it succeeds.

    An error is reported, except that stdout cannot be written, which raises.
    """
    try:
        work(file, other)
    except (BrokenPipeError, Undelivered):
        raise
    except EXPECTED as error:
        report_error(error, file)
        return False
    return True


def choose_clips(sources: list[Path], split: str | None) -> list[Path]:
    """The recordings that ``sources`` name or contain, or those of them that ``split`` lists.

    Args:
        sources: recordings and folders of recordings.
        split: file of clip ids, one per line; None takes every recording.

    Raises:
        ValueError: the list is empty, or names clips that are missing.
        OSError: a folder or the list cannot be read.
    """
    from waveflow.audio.clip_list import clip_id, find_clips, read_list, unknown_ids

    paths: list[Path] = []
    for source in sources:
        paths += find_clips(source).values() if source.is_dir() else [source]
    paths = list(dict.fromkeys(paths))
    if split is None:
        return paths
    ids = read_list(split)
    names = [clip_id(path.stem) for path in paths]
    if not ids or not set(ids).issubset(names):
        raise ValueError(unknown_ids(split, ids, names))
    return [path for path, name in zip(paths, names, strict=True) if name in set(ids)]

"""Read and write mel spectrograms in files; nothing in a file is run."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from waveflow.audio.mel import MelConfig
from waveflow.checks import tensor
from waveflow.io.atomic import write_atomically
from waveflow.io.npz import require_bounded
from waveflow.io.paths import as_path
from waveflow.io.torch_files import read_tensors

Result = TypeVar("Result")


def read_mel(path: str | Path) -> tuple[Tensor, MelConfig | None]:
    """Read a mel spectrogram without unpickling anything.

    Args:
        path: an ``.npy`` file, an ``.npz`` file with ``mel`` and optionally ``config``, or a
            ``.pt`` file with a tensor.

    Returns:
        The mel, (1, n_mels, frames) float32, and its convention, or None if the file has none. The
        vocoder checks values and number of bands.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not a mel; names the file.
    """
    path = as_path(path)
    mel, config = _parsed(path, lambda: _read_any(path))
    _check_shape(path, tuple(mel.shape))
    mel = mel.detach().float() if mel.is_floating_point() else mel
    return (mel[None] if mel.dim() == 2 else mel), config


@dataclass(frozen=True)
class MelSlices:
    """A mel spectrogram that is read in slices.

    Attributes:
        frames: number of frames.
        config: convention of the mel; None if unknown.
        take: returns the frames from ``start`` to before ``stop``, (n_mels, stop - start).
    """

    frames: int
    config: MelConfig | None
    take: Callable[[int, int], Tensor]

    def slices(self, size: int) -> Iterator[Tensor]:
        """The whole mel in slices, (n_mels, ``size`` frames or fewer)."""
        for start in range(0, self.frames, size):
            yield self.take(start, min(start + size, self.frames))


def open_mel(path: str | Path, *, frames_first: bool = False) -> MelSlices:
    """Open a mel spectrogram in a file; of an ``.npy``, each slice is read when it is taken.

    Args:
        path: ``.npy``, ``.npz`` or ``.pt`` file, as for :func:`read_mel`.
        frames_first: whether the mel is stored as (frames, n_mels).

    Raises:
        OSError, ValueError: as for :func:`read_mel`; later changes of the file are not detected.
    """
    path = as_path(path)
    shape = _parsed(path, lambda: _mapped_shape(path))
    if shape is None:
        mel, config = read_mel(path)
        mel = mel[0].mT if frames_first else mel[0]
        return MelSlices(mel.shape[-1], config, lambda start, stop: mel[:, start:stop])
    _check_shape(path, shape)
    bands, frames = reversed(shape[-2:]) if frames_first else shape[-2:]

    def take(start: int, stop: int) -> Tensor:
        # a new mapping for each slice frees the pages that were read
        array = np.load(path, mmap_mode="r", allow_pickle=False).reshape(shape[-2:])
        array = array.T if frames_first else array
        mel = _as_tensor(array[:, start:stop])
        return (mel.float() if mel.is_floating_point() else mel).reshape(bands, stop - start)

    return MelSlices(frames, None, take)


def mel_frames(path: str | Path, *, frames_first: bool = False) -> int:
    """The number of frames of a mel in a file, from its header alone unless it is a ``.pt``.

    Args:
        path: ``.npy``, ``.npz`` or ``.pt`` file, as for :func:`read_mel`.
        frames_first: whether the mel is stored as (frames, n_mels).

    Raises:
        OSError, ValueError: as for :func:`read_mel`, if the header shows the fault.
    """
    path = as_path(path)
    shape = _parsed(path, lambda: _stored_shape(path))
    _check_shape(path, shape)
    return shape[-2 if frames_first else -1]


def write_mel(path: str | Path, mel: Tensor, config: MelConfig) -> None:
    """Write a mel spectrogram; the file is complete or does not appear.

    Args:
        path: file to write; ``.npz`` holds ``mel`` and its ``config`` as JSON, ``.npy`` and ``.pt``
            hold the mel alone.
        mel: the mel, (n_mels, frames).
        config: convention of the mel.
    """
    path = as_path(path)
    mel = tensor(mel, "mel").detach().float().cpu().contiguous()
    content = BytesIO()  # writing an archive to the disk would hide the reason of an error
    if path.suffix.lower() == ".pt":
        torch.save(mel, content)
    elif path.suffix.lower() == ".npy":
        np.save(content, mel.numpy())
    else:
        np.savez(content, mel=mel.numpy(), config=np.array(json.dumps(asdict(config))))
    write_atomically(path, content.getbuffer())


def _parsed(path: Path, parse: Callable[[], Result]) -> Result:
    """The result of ``parse``; an error names the file."""
    try:
        return parse()
    except OSError:
        raise
    except Exception as error:  # parsers raise any type of error on damaged or hostile files
        raise ValueError(f"{path}: expected a mel spectrogram; got: {_reason(error)}") from error


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 1):
        raise ValueError(
            f"{path}: expected one mel of shape (n_mels, frames) or (1, n_mels, frames); "
            f"got {shape}"
        )


def _read_any(path: Path) -> tuple[Tensor, MelConfig | None]:
    if path.suffix.lower() != ".pt":
        return _read_numpy(path)
    with path.open("rb") as file:
        mel = read_tensors(file)
    if not isinstance(mel, Tensor):
        raise ValueError(f"an object of type {type(mel).__name__}, not a tensor")
    return mel, None


def _read_numpy(path: Path) -> tuple[Tensor, MelConfig | None]:
    require_bounded(path)
    with path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return _as_tensor(content), None
        if "mel" not in content:
            raise ValueError(
                f"an archive without an array mel; it has {', '.join(content) or 'none'}"
            )
        mel = _as_tensor(content["mel"])
        if "config" not in content:
            return mel, None
        return mel, _parse_config(str(content["config"]))


def _parse_config(text: str) -> MelConfig:
    try:
        return MelConfig.from_plain(json.loads(text))
    except ValueError as error:
        why = "not JSON" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ValueError(
            "an array config that is not a mel convention as `waveflow mel` writes it "
            f"({why}); if another program wrote it, save mel alone"
        ) from None


def _as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))


def _mapped_shape(path: Path) -> tuple[int, ...] | None:
    """The shape of an ``.npy`` whose slices can be mapped; None for any other file."""
    if path.suffix.lower() != ".npy":
        return None
    content = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(content, np.ndarray):
        return None
    _as_tensor(content[..., :0])  # raises if a tensor cannot have this type
    return content.shape


def _stored_shape(path: Path) -> tuple[int, ...]:
    if path.suffix.lower() == ".npy":
        return np.load(path, mmap_mode="r", allow_pickle=False).shape
    if path.suffix.lower() == ".pt":
        return tuple(_read_any(path)[0].shape)
    require_bounded(path)
    with zipfile.ZipFile(path) as archive, archive.open("mel.npy") as file:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        return read(file)[0]


def _reason(error: Exception) -> str:
    """The fault of a mel file, without the parsers' advice to trust it."""
    text = str(error).strip() or type(error).__name__
    mentions_objects = "pickle" in text or "Python objects" in text
    if isinstance(error, UnpicklingError | KeyError) or mentions_objects:
        return "a damaged file, or a file of objects, which are not read because they can run code"
    return text.splitlines()[0]

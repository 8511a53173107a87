"""Mel spectrograms in files, read without running anything that is in them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor

from waveflow.audio.mel import MelConfig
from waveflow.config import parse
from waveflow.files import atomic_path


def read_mel(path: Path) -> tuple[Tensor, MelConfig | None]:
    """Read a mel spectrogram without unpickling anything.

    Args:
        path: an ``.npy``, an ``.npz`` with ``mel`` and perhaps ``config``, a ``.pt`` with a tensor.

    Returns:
        The mel, (1, n_mels, frames) float32 (its values and size are for the vocoder to check),
        and how it was made, if the file says.

    Raises:
        OSError: the file cannot be opened.
        ValueError: anything else; names the file.
    """
    try:
        if path.suffix.lower() == ".pt":
            mel, config = torch.load(path, map_location="cpu", weights_only=True), None
        else:
            mel, config = _read_numpy(path)
        if not isinstance(mel, torch.Tensor) or mel.layout != torch.strided or mel.is_meta:
            raise ValueError(f"no plain tensor but {type(mel).__name__}")
    except OSError:
        raise
    except Exception as error:  # parsers of damaged or hostile files raise whatever they like
        raise ValueError(f"{path}: expected a mel spectrogram; got: {_reason(error)}") from error
    if mel.dim() not in (2, 3) or (mel.dim() == 3 and len(mel) != 1):
        raise ValueError(
            f"{path}: expected one mel of shape (n_mels, frames) or (1, n_mels, frames); "
            f"got {tuple(mel.shape)}"
        )
    if mel.is_floating_point():
        mel = mel.detach().float()
    return (mel[None] if mel.dim() == 2 else mel), config


def write_mel(path: Path, mel: Tensor, config: MelConfig) -> None:
    """Write a mel spectrogram, (n_mels, frames), all of it or nothing.

    Args:
        path: ``.npz`` holds ``mel`` and its ``config`` as JSON; ``.npy`` and ``.pt`` the mel alone.
        mel: the mel.
        config: how it was made.
    """
    mel = mel.detach().float().cpu().contiguous()
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        if path.suffix.lower() == ".pt":
            torch.save(mel, file)
        elif path.suffix.lower() == ".npy":
            np.save(file, mel.numpy())
        else:
            np.savez(file, mel=mel.numpy(), config=np.array(json.dumps(asdict(config))))


def _read_numpy(path: Path) -> tuple[Tensor, MelConfig | None]:
    def as_tensor(array: np.ndarray[Any, Any]) -> Tensor:
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))

    with path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return as_tensor(content), None
        if "mel" not in content:
            raise ValueError(f"no array named mel but {', '.join(content) or 'none at all'}")
        mel = as_tensor(content["mel"])
        if "config" not in content:
            return mel, None
        config = parse({"mel": json.loads(str(content["config"]))}, {"mel": MelConfig})["mel"]
        return mel, config


def _reason(error: Exception) -> str:
    """What was wrong with a mel file, without the parsers' advice to trust it."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, UnpicklingError | KeyError) or "pickle" in text:
        return "a damaged file, or one of objects, which are not read because they can run code"
    return text.splitlines()[0]

"""The two files of a vocoder: written completely, and checked when read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file, save
from torch import Tensor, nn

from waveflow.config import VocoderConfig
from waveflow.io.atomic import write_atomically
from waveflow.io.yaml import read_yaml, shortened

CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
_STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def write_files(
    folder: Path,
    config: VocoderConfig,
    weights: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Write ``config.yaml`` and ``model.safetensors`` to an existing folder.

    Args:
        folder: folder for the files.
        config: config of the vocoder.
        weights: state dict of the vocoder.
        dtype: dtype to store floating-point weights in; None keeps their dtype.

    Raises:
        ValueError: weights are not stored in this dtype.
    """
    if dtype is not None and dtype not in _STORED:
        raise ValueError(f"expected a dtype among {', '.join(map(str, _STORED))}; got {dtype!r}")
    stored = {
        name: (value.to(dtype) if dtype and value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    text = yaml.safe_dump(config.to_dict(), sort_keys=False)
    write_atomically(folder / WEIGHTS_FILE, save(stored))
    write_atomically(folder / CONFIG_FILE, text.encode())


def require_files(folder: Path) -> Path:
    """Check that a folder holds both files, and return it.

    Raises:
        FileNotFoundError: a file is missing.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: expected a folder with {name}; it is missing")
    return folder


def read_config(path: Path) -> VocoderConfig:
    """Read the config of a vocoder.

    Raises:
        ValueError: the file is not a config; names the file.
    """
    values = read_yaml(path)
    try:
        return VocoderConfig.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def fill(module: nn.Module, path: Path) -> None:
    """Load the weights of a file into a module.

    Raises:
        ValueError: the file is damaged, or its weights do not fit or are not finite; names the
            file.
    """
    try:
        weights = load_file(path)
    except Exception as error:  # parsers raise any type of error on damaged or hostile files
        if isinstance(error, OSError):
            raise
        raise ValueError(
            f"{path}: expected safetensors; got a damaged file ({shortened(error)})"
        ) from None
    own = module.state_dict()
    for name, value in weights.items():
        kind = own[name].dtype if name in own else value.dtype
        stored = _STORED if kind.is_floating_point else (kind,)
        if value.dtype not in stored:
            raise ValueError(f"{path}: expected {name} as {kind}; got {value.dtype}")
        if not value.isfinite().all():
            raise ValueError(f"{path}: expected finite weights; got NaN or infinity in {name}")
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path}: the weights do not fit {CONFIG_FILE}: {shortened(error)}"
        ) from None

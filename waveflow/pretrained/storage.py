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
from waveflow.io.paths import errors_begin_with
from waveflow.io.yaml import read_yaml, shortened

CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "model.safetensors"
FILES = (CONFIG_FILE, WEIGHTS_FILE)
"""The files that make a folder a vocoder."""
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
    for name in FILES:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: expected a folder with {name}; it is missing")
    return folder


def read_config(path: Path) -> VocoderConfig:
    """Read the config of a vocoder.

    Raises:
        ValueError: the file is not a config; names the file.
    """
    values = read_yaml(path)
    with errors_begin_with(path):
        return VocoderConfig.from_dict(values)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read names and tensors.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is damaged.
    """
    try:
        return load_file(path)
    except OSError:
        raise
    except Exception as error:  # parsers raise any type of error on damaged or hostile files
        reason = shortened(error)
        raise ValueError(f"expected safetensors; got a damaged file ({reason})") from None


def fill(module: nn.Module, path: Path) -> None:
    """Load the weights of a file into a module.

    Raises:
        ValueError: the file is damaged, or its weights do not fit or are not finite; names the
            file.
    """
    own = module.state_dict()
    with errors_begin_with(path):
        weights = read_safetensors(path)
        for name, value in weights.items():
            kind = own[name].dtype if name in own else value.dtype
            stored = _STORED if kind.is_floating_point else (kind,)
            if value.dtype not in stored:
                raise ValueError(f"expected {name} as {kind}; got {value.dtype}")
            if not value.isfinite().all():
                raise ValueError(f"expected finite weights; got NaN or infinity in {name}")
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            reason = shortened(error)
            raise ValueError(f"the weights do not fit {CONFIG_FILE}: {reason}") from None

"""A vocoder's two files: written whole, and read without trusting what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from waveflow.config import VocoderConfig, read_yaml
from waveflow.files import write_atomically

CONFIG_FILE = "config.yaml"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"


def write_files(
    folder: Path,
    config: VocoderConfig,
    weights: Mapping[str, Tensor],
    *,
    dtype: torch.dtype | None = None,
) -> None:
    """Write ``config.yaml`` and ``model.safetensors`` into a folder that is there.

    Args:
        folder: where to.
        config: of the vocoder.
        weights: its state dict.
        dtype: precision to store floating-point weights in; by default the one they have.
    """
    stored = {
        name: (value.to(dtype) if dtype and value.is_floating_point() else value).contiguous()
        for name, value in weights.items()
    }
    text = yaml.safe_dump(config.to_dict(), sort_keys=False)
    write_atomically(folder / WEIGHTS_FILE, save(stored))
    write_atomically(folder / CONFIG_FILE, text.encode())


def require_files(folder: Path) -> Path:
    """The folder, known to hold both files.

    Raises:
        FileNotFoundError: one is missing.
    """
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: expected {name} there; it is missing")
    return folder


def read_config(path: Path) -> VocoderConfig:
    """The config of a vocoder.

    Raises:
        ValueError: no config; names the file.
    """
    values = read_yaml(path)
    try:
        return VocoderConfig.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def fill(module: nn.Module, path: Path) -> None:
    """Put the weights of a file into a module of the same make.

    Raises:
        ValueError: a damaged file, weights of another make, NaN or infinity; names the file.
    """
    try:
        weights = load_file(path)
        module.load_state_dict(weights)
    except SafetensorError as error:
        raise ValueError(f"{path}: expected safetensors; got a damaged file ({error})") from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: the weights do not fit {CONFIG_FILE}: {reason}") from None
    damaged = [name for name, value in weights.items() if not value.isfinite().all()]
    if damaged:
        raise ValueError(f"{path}: expected finite weights; got NaN or infinity in {damaged[0]}")

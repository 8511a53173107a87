"""Read names and tensors of a WaveGlow from any of its file formats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from waveflow.audio.mel import MelConfig
from waveflow.interop.families import FAMILIES, class_pattern, is_unused, places, table_of
from waveflow.interop.modules import attribute, state_dict, unwrapped
from waveflow.interop.nemo import mel_of_config
from waveflow.interop.nemo_archive import is_archive, read_archive
from waveflow.io.paths import as_path, errors_begin_with
from waveflow.io.torch_files import Record, read_tensors
from waveflow.pretrained.storage import read_safetensors

_FIRST = "upsample.weight"


@dataclass(frozen=True)
class Checkpoint:
    """A WaveGlow with the names of its project.

    Attributes:
        weights: names, without the prefixes of wrappers, and tensors.
        class_name: class of the saved module, such as ``glow.WaveGlow``; None if the file holds a
            state dict.
        identified: whether the file identifies its project, by a class or a configuration.
        mel: mel convention of the file; None if it has none.
        hop_length: samples per frame; None if the file does not have it.
        note: warning about its mels; None if there is none.
    """

    weights: dict[str, Tensor]
    class_name: str | None = None
    identified: bool = False
    mel: MelConfig | None = None
    hop_length: int | None = None
    note: str | None = None


def open_checkpoint(path: str | Path) -> Checkpoint:
    """Read a file of ``torch.save`` (any version), a ``.nemo`` archive or a ``.safetensors`` file.

    Nothing in the file is run, and nothing is written.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is damaged, or has no WaveGlow.
    """
    path = as_path(path)
    with errors_begin_with(path):
        if path.suffix.lower() == ".safetensors":
            return Checkpoint(_named(read_safetensors(path)))
        if is_archive(path):
            return _of_archive(*read_archive(path))
        with path.open("rb") as file:
            saved = read_tensors(file, classes=class_pattern(*FAMILIES))
        module = saved.get("model") if isinstance(saved, dict) else saved
        if isinstance(module, Record):
            return _of_module(unwrapped(module))
        identified = isinstance(saved, dict) and isinstance(saved.get("config"), dict)
        return Checkpoint(_named(_state_dict_of(saved)), identified=identified)


def _of_archive(config: Any, saved: Any) -> Checkpoint:
    """The model of a ``.nemo`` archive."""
    mel, odd = mel_of_config(config)
    note = f"its mels have {', '.join(odd)}, which waveflow does not support" if odd else None
    if mel is None:
        note = "its configuration does not give the mel sizes as numbers; assuming nvidia-22k"
    return Checkpoint(_named(_state_dict_of(saved)), identified=True, mel=mel, note=note)


def _of_module(module: Record) -> Checkpoint:
    """A model that was saved whole."""
    weights = _named(state_dict(module))
    upsampler = places(table_of(weights), "upsample", {})[0].name
    stride = attribute(module, *upsampler.split("."), "stride")
    first = stride[0] if isinstance(stride, tuple) and stride else None
    hop_length = first if type(first) is int else None
    return Checkpoint(weights, module.name, True, hop_length=hop_length)


def _state_dict_of(saved: Any) -> Mapping[Any, Any]:
    """The state dict in a saved object, which may be the state of a training."""
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(saved, dict) and isinstance(saved.get(key), dict):
            saved = saved[key]
    if not isinstance(saved, dict):
        raise ValueError(f"expected a checkpoint of WaveGlow; got {type(saved).__name__}")
    return saved


def _named(weights: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The tensors of the WaveGlow, without the prefixes of wrappers."""
    names = [name for name in weights if isinstance(name, str)]
    tables = [family.names for family in FAMILIES.values()]
    ends = "|".join(re.escape(places(table, _FIRST, {})[0].name) for table in tables)
    anchors = list(filter(None, map(re.compile(rf"(?s:(.*?\.)??({ends}))").fullmatch, names)))
    if len(anchors) != 1 or len(names) != len(weights):
        raise ValueError(
            f"expected a checkpoint of WaveGlow, with one {_FIRST}; got "
            f"{len(anchors)} of them among {len(weights)} names"
        )
    prefix = anchors[0][1] or ""
    named = {}
    for name in names:
        if name.startswith(prefix):
            named[name.removeprefix(prefix)] = weights[name]
        elif not is_unused(name):
            raise ValueError(f"expected only names of a WaveGlow; got {name[:80]!r}")
    return named

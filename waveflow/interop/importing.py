"""Import checkpoints of WaveGlow as folders of vocoders, and compare the two."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from waveflow.audio.mel import MelConfig
from waveflow.config import SynthesisConfig
from waveflow.interop.checkpoint import Checkpoint, open_checkpoint
from waveflow.interop.comparing import compare
from waveflow.interop.families import FAMILIES, choose_family
from waveflow.interop.nvidia import vocoder_from_state_dict
from waveflow.io.atomic import errors_name, temporary_beside
from waveflow.io.paths import as_path, errors_begin_with
from waveflow.pretrained.storage import CONFIG_FILE, FILES
from waveflow.vocoder import Vocoder

TOLERANCE = 1e-4
"""Largest difference between a checkpoint and its import in float64, relative to the largest value
if that is above 1. An exact import is below 1e-5."""

_TEMPERATURE = 0.6


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        family: family of the checkpoint, a key of :data:`waveflow.interop.families.FAMILIES`.
        vocoder: the saved vocoder.
        differences: largest differences of ``latent``, ``log_prob`` (nats per sample) and
            ``synthesis`` between the saved vocoder and the checkpoint's tensors, in float64.
    """

    family: str
    vocoder: Vocoder
    differences: dict[str, float]


def import_checkpoint(
    path: str | Path,
    folder: str | Path,
    *,
    family: str | None = None,
    mel: MelConfig | None = None,
) -> Imported:
    """Import a checkpoint of WaveGlow as the folder of a vocoder; nothing in the file is run.

    The folder is loaded again and compared with a plain evaluation of the checkpoint's own
    tensors. It is kept only if they agree.

    Args:
        path: file of ``torch.save`` (any version), ``.nemo`` archive or ``.safetensors`` file.
        folder: folder to write, without a vocoder; created if missing.
        family: key of :data:`waveflow.interop.families.FAMILIES`; None detects it.
        mel: convention of its mels; None is that of the file, or ``nvidia-22k``.

    Raises:
        OSError: a file cannot be opened or written.
        ValueError: the file is damaged, hostile or not a WaveGlow, the folder has a vocoder, or
            the import differs from its checkpoint. Nothing is written then.
    """
    folder = as_path(folder)
    for name in FILES:
        if (folder / name).exists():
            raise ValueError(f"{folder}: expected a folder without a vocoder; got one with {name}")
    checkpoint = open_checkpoint(path)
    with errors_begin_with(path):
        family, vocoder = _converted(checkpoint, family, mel)
    if checkpoint.note is not None and mel is None:
        warnings.warn(f"{path}: {checkpoint.note}", stacklevel=2)
    with _atomic_folder(folder) as temporary:
        vocoder.save_pretrained(temporary)
        differences = compare(checkpoint.weights, temporary, swap_odd=FAMILIES[family].swap_odd)
        if not max(differences.values()) <= TOLERANCE:
            got = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
            raise ValueError(
                f"{path}: expected an import within {TOLERANCE} of the checkpoint; got {got}"
            )
    return Imported(family, vocoder, differences)


def _converted(
    checkpoint: Checkpoint, wanted: str | None, mel: MelConfig | None
) -> tuple[str, Vocoder]:
    """The family and the vocoder of a checkpoint."""
    weights, class_name = checkpoint.weights, checkpoint.class_name
    family, other = choose_family(weights, class_name=class_name, wanted=wanted)
    if other is not None and not checkpoint.identified:
        warnings.warn(
            f"imported as {family}, but {other} has the same names: if it sounds like noise, "
            f"import it with --family {other}",
            stacklevel=3,
        )
    mel = mel or checkpoint.mel or MelConfig.named("nvidia-22k")
    if checkpoint.hop_length not in (None, mel.hop_length):
        raise ValueError(
            f"expected a mel of hop_length {checkpoint.hop_length}, from the model's upsampler; "
            f"got {mel.hop_length}: choose another convention with --mel"
        )
    vocoder = vocoder_from_state_dict(weights, mel=mel, swap_odd=FAMILIES[family].swap_odd)
    synthesis = SynthesisConfig(temperature=_TEMPERATURE)
    vocoder.config = replace(vocoder.config, synthesis=synthesis)
    return family, vocoder


@contextmanager
def _atomic_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder, moved to ``folder`` at the end, or deleted if the body fails.

    Other files in ``folder`` stay.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(folder)
    with errors_name(folder, temporary):
        temporary.mkdir()
        try:
            yield temporary
            if not folder.exists():
                temporary.rename(folder)
                return
            for path in sorted(temporary.iterdir(), key=lambda path: path.name == CONFIG_FILE):
                os.replace(path, folder / path.name)  # the config last: without it, no vocoder
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

"""Write checkpoints completely or not at all, and keep the newest good ones."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO

from waveflow.io.atomic import write_atomically
from waveflow.io.yaml import shortened

KEPT = 2
_PATTERN = "step-*.ckpt"
_PARTS = ("state_dict", "optimizer_states", "global_step", "loops", "callbacks")
_NAME = re.compile(r"step-\d+\.ckpt")


def checkpoint_path(folder: Path, step: int) -> Path:
    """The path of the checkpoint of a step."""
    return folder / f"step-{step:09d}.ckpt"


def checkpoint_step(path: Path) -> int:
    """The step of a checkpoint."""
    return int(path.stem.removeprefix("step-"))


def newest_checkpoint(folder: Path) -> Path | None:
    """The newest intact checkpoint of a run; damaged ones are skipped with a warning.

    A checkpoint is a zip file; it is intact if every checksum in it is right.
    """
    for path in sorted(folder.glob(_PATTERN), reverse=True):
        if not _NAME.fullmatch(path.name):
            continue
        damage = _damage(path)
        if damage is None:
            return path
        warnings.warn(f"{path}: skipped a damaged checkpoint ({damage})", stacklevel=2)
    return None


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically, keeps the newest :data:`KEPT`, and reports a full disk.

    If a checkpoint cannot be written, the earlier ones stay.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write a checkpoint, then remove the old ones.

        Raises:
            OSError: the checkpoint cannot be written; for a full disk it gives the free space.
        """
        path = Path(path)
        folder = path.parent
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        try:
            write_atomically(path, buffer.getbuffer())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise disk_is_full(path, buffer.tell()) from error
        for old in sorted(folder.glob(_PATTERN))[:-KEPT]:
            old.unlink()

    def load_checkpoint(self, path: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Raises:
            OSError: the file cannot be opened.
            ValueError: the file is not a checkpoint.
        """
        try:
            checkpoint = super().load_checkpoint(path, *args, **options)
        except OSError:
            raise
        except Exception as error:  # parsers raise any type of error on damaged or hostile files
            raise ValueError(f"{path}: expected a checkpoint; got: {shortened(error)}") from None
        for part in _PARTS:
            if part not in checkpoint:
                raise ValueError(f"{path}: expected a checkpoint; got a file without {part}")
        return checkpoint


def disk_is_full(path: Path, size: int) -> OSError:
    """The error about a full disk: space needed, free space, and the newest saved checkpoint."""
    free = shutil.disk_usage(path.parent).free / 1e6
    kept = sorted(old.name for old in path.parent.glob(_PATTERN))
    safe = f"{kept[-1]} is safe" if kept else "there is no earlier checkpoint"
    return OSError(
        errno.ENOSPC,
        f"the disk is full: expected room for {size / 1e6:.1f} MB, got {free:.1f} MB; {safe}: "
        "free some space and run the same command again",
        str(path),
    )


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed."""
    for path in folder.glob(f".{_PATTERN}"):
        path.unlink()


def _damage(path: Path) -> str | None:
    """The damage of a checkpoint file; None if it is intact."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
    except Exception as error:  # parsers raise any type of error on damaged files
        return shortened(error)
    return None if bad is None else f"wrong checksum in {os.path.basename(bad)}"

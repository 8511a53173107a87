"""Check archives of NumPy arrays against unpacking to much more than their size."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from waveflow.io.budget import NUMPY_ARCHIVE

_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # other compressions have no bound


def require_bounded(file: str | Path | BinaryIO) -> None:
    """Refuse an archive whose headers claim much more than its size; readers read what they claim.

    Args:
        file: ``.npz`` file; other files are not checked.

    Raises:
        ValueError: the archive unpacks to too much, or has a compression that NumPy does not write.
        zipfile.BadZipFile: the archive is damaged.
    """
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if any(member.compress_type not in _KINDS for member in members):
        raise ValueError("an archive with a compression that NumPy does not write")
    stored = sum(member.compress_size for member in members)
    promised = sum(member.file_size for member in members)
    if promised > NUMPY_ARCHIVE.of(stored):
        raise ValueError(f"{stored} bytes that unpack to {promised}")

"""Archives of NumPy arrays, which may not unfold to more than their budget."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import BinaryIO

from waveflow.io.budget import NUMPY_ARCHIVE

_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # of others, any piece may unfold to anything


def require_bounded(file: str | Path | BinaryIO) -> None:
    """Refuse an archive that unfolds to far more than it holds; what it promises is what is read.

    Args:
        file: an ``.npz``; anything else is not looked at.

    Raises:
        ValueError: it is such a one, or is compressed in a way that NumPy does not write.
        zipfile.BadZipFile: it is damaged.
    """
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
    if any(member.compress_type not in _KINDS for member in members):
        raise ValueError("an archive of another compression than NumPy's")
    stored = sum(member.compress_size for member in members)
    promised = sum(member.file_size for member in members)
    if promised > NUMPY_ARCHIVE.of(stored):
        raise ValueError(f"{stored} bytes that unfold to {promised}")

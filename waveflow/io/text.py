"""Read text files and JSON files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from waveflow.io.paths import as_path


def read_text(path: str | Path) -> str:
    r"""Read a text file: UTF-8, with or without a byte order mark.

    Lines in the result end with ``\n``; those of the file may end with ``\n``, ``\r\n`` or ``\r``.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not UTF-8; names the file.
    """
    try:
        return as_path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8; got {error}") from None


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read the plain values in a JSON file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: the file is not JSON; names the file.
    """
    path = as_path(path)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON; got another format ({error})") from None

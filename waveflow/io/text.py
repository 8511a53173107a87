"""Files of text and of JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from waveflow.io.paths import as_path


def read_text(path: str | Path) -> str:
    r"""The text of a file that people write: UTF-8, with or without a byte order mark.

    Rows end at ``\n``, whether the file ends them by ``\n``, ``\r\n`` or ``\r``.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is no such text; names it.
    """
    try:
        return as_path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8; got {error}") from None


def read_json(path: str | os.PathLike[str]) -> Any:
    """The plain values in a file of JSON.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not JSON; names it.
    """
    path = as_path(path)
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON; got something else ({error})") from None

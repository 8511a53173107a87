"""A Python that has imported already: ``WARM_PYTHON`` runs what ``sys.executable`` runs, sooner.

Imports of torch and Lightning take seconds of every process that a test starts. A server imports
them once; it forks for each call, and the child runs the very command with the caller's folder,
environment, files and signals.

A call that needs an interpreter of its own gets one: where options of the interpreter or
``PYTHON...`` variables differ from the server's. Start ``sys.executable`` itself where a test
is about imports, limits of resources, process groups, or the parts of a process tree.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

_HERE = Path(__file__).parent
_SERVED = Path("/proc/self/fd").is_dir()
"""Whether a process can list its files; where not, every call gets its own interpreter."""
_VARIABLE = "WAVEFLOW_TESTS_WARM"
"""Names the folder that all processes of one run of the tests share."""


def _prepare() -> Path:
    """A folder with the programs ``python`` and ``waveflow``; it vanishes with this process."""
    if _VARIABLE in os.environ:
        return Path(os.environ[_VARIABLE])
    folder = Path(tempfile.mkdtemp(prefix="waveflow-warm-"))
    owner = os.getpid()
    for name, words in (("python", ""), ("python3", ""), ("waveflow", "-m waveflow ")):
        program = folder / name
        client = f'"{sys.executable}" -I -S "{_HERE / "client.py"}" {owner} "{sys.executable}"'
        command = f'{client} "{folder}"' if _SERVED else f'"{sys.executable}"'
        program.write_text(f'#!/bin/sh\nexec {command} {words}"$@"\n')
        program.chmod(0o755)
    os.environ[_VARIABLE] = str(folder)
    atexit.register(lambda: os.getpid() == owner and shutil.rmtree(folder, ignore_errors=True))
    return folder


WARM_PROGRAMS = _prepare()
WARM_PYTHON = str(WARM_PROGRAMS / "python")

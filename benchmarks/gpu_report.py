"""What ``gpu.sh`` has measured, as one JSON and one Markdown file of tables."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peers
import torch
import train

from waveflow.evaluation.peak import describe_machine
from waveflow.io.atomic import write_atomically
from waveflow.io.markdown import table_of_figures
from waveflow.io.text import read_json

PACKAGES = ("torch", "numpy", "lightning", "vocos", "transformers")
FLAGSHIP = {
    "steps": ("steps", "{}"),
    "steps_per_s": ("steps/s", "{:.2f}"),
    "nats_per_sample": ("nats/sample", "{:.4f}"),
    "pesq": ("PESQ-wb", "{:.2f}"),
    "stoi": ("STOI", "{:.3f}"),
    "times_real_time": ("× real time, one clip after the other", "{:.1f}"),
}
"""Heading and format of the flagship's figures."""


def environment(device: str) -> dict[str, Any]:
    """What was measured, and where."""
    found = {name: version(name) for name in PACKAGES}
    cuda = {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version()}
    return {
        "machine": describe_machine(device),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "commit": _said("git", "describe", "--always", "--dirty", "--exclude=*"),
        "driver": _said(
            "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv"
        ),
        **found,
        **(cuda if device == "cuda" else {}),
    }


def _said(*command: str) -> str | None:
    """The output of a command, if there is one."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=Path(__file__).parent,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def gather(out: Path) -> dict[str, Any]:
    """All figures of a folder; what is missing is None."""
    names = ("environment", "peers", "steps", "waveglow", "flagship")
    found: dict[str, Any] = {name: _read(out / f"{name}.json") for name in names}
    if found["flagship"] is not None:
        log = (out / "train.log").read_text()
        found["flagship"] = {**_progress(log), **found["flagship"]["all"]}
    found["asked"] = (out / "asked").read_text().strip()
    found["tests"] = (out / "tests.log").read_text().strip().splitlines()[-1]
    found["failed"] = [path.read_text().strip() for path in sorted(out.glob("*.failed"))]
    return found


def _read(path: Path) -> Any:
    return read_json(path) if path.is_file() else None


def _progress(log: str) -> dict[str, float | None]:
    """Steps that a run has done, and how quickly, of its log."""
    steps = re.findall(r"(?:stopped after step |step )(\d+)", log)
    rates = re.findall(r"([\d.]+) steps/s", log)
    return {
        "steps": int(steps[-1]) if steps else None,
        "steps_per_s": float(rates[-1]) if rates else None,
    }


def tables(found: dict[str, Any]) -> str:
    """Markdown; a table that is missing says so."""
    parts = []
    if found["environment"] is not None:
        parts.append(found["environment"]["machine"])
    parts += [f"Asked: {found['asked']}.", f"Tests: {found['tests']}", *found["failed"]]
    missing = "Not measured."
    measured = found["peers"]
    about = f"{measured['batch']} × {measured['seconds']:g} s a call" if measured else ""
    parts.append(f"**Synthesis**, {about}")
    parts.append(table_of_figures(measured["rows"], peers.COLUMNS) if measured else missing)
    rows = [row for name in ("steps", "waveglow") if found[name] for row in found[name]["rows"]]
    parts += ["**Training steps**", table_of_figures(rows, train.COLUMNS) if rows else missing]
    flagship = found["flagship"]
    parts.append("**The flagship**")
    parts.append(table_of_figures([flagship], FLAGSHIP, missing="none") if flagship else missing)
    return "\n\n".join(parts)


def main() -> None:
    """Write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder of gpu.sh")
    parser.add_argument("--environment", metavar="DEVICE", help="write that of a device alone")
    options = parser.parse_args()
    if options.environment:
        content = json.dumps(environment(options.environment), indent=1)
        write_atomically(options.out / "environment.json", f"{content}\n".encode())
        return
    found = gather(options.out)
    text = tables(found)
    write_atomically(options.out / "results.json", f"{json.dumps(found, indent=1)}\n".encode())
    write_atomically(options.out / "results.md", f"{text}\n".encode())
    print(text)
    if found["failed"]:
        sys.exit(1)


if __name__ == "__main__":
    main()

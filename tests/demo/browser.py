"""A real server and a real browser, for the tests of the page and for its pictures."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "data" / "clips"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


class Server:
    """A process of ``waveflow demo``.

    Attributes:
        url: where it answers.
        process: itself.
    """

    def __init__(self, *arguments: str):
        self._said: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "waveflow", "demo", "--port", "0", *arguments],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "WAVEFLOW_DEBUG": ""},
            cwd=ROOT,
        )
        self.url = self._address()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    @property
    def said(self) -> str:
        """All that it wrote to stderr so far."""
        return "".join(self._said)

    def stop(self) -> int:
        """Ask it to end, and wait; its exit code."""
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._listener.join(5)
            self.process.stderr.close()

    def _address(self) -> str:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said.append(line)
            found = re.search(r"serving on (http://\S+)", line)
            if found:
                return found[1]
        raise RuntimeError(f"the server did not start: {self.said}")

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said.append(line)


@contextmanager
def server(*arguments: str) -> Iterator[Server]:
    """A server on a free port, ended at the end."""
    one = Server(*arguments)
    try:
        yield one
    finally:
        if one.process.poll() is None:
            one.stop()


@contextmanager
def browser(folder: Path) -> Iterator:
    """A headless Chromium with a fresh profile in ``folder`` and a fake microphone."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            folder,
            executable_path=CHROMIUM,
            headless=True,
            args=ARGUMENTS,
            viewport={"width": 1280, "height": 900},
            permissions=["microphone"],
            accept_downloads=True,
        )
        try:
            yield context
        finally:
            context.close()

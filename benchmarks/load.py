"""Many visitors at once: how long they wait, and whether the demo's memory stays.

A server process of ``waveflow demo`` on this machine; every visitor uploads a clip, has it vocoded
by the default model, fetches the sound and looks whether it is one, again and again. Fails if any
request did, or if the memory went on growing once it was warm.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen
from uuid import uuid4

import soundfile

ROOT = Path(__file__).parents[1]
WAIT = 300
"""Seconds that a visitor waits for an answer."""

GROWTH = 0.05
"""Share by which the memory may be more in the last third than in the middle one: freed memory
that the C library keeps, and the peaks of many large requests that meet by chance."""


@dataclass
class Tally:
    """What happened to the visitors so far; shared by their threads.

    Attributes:
        seconds: each request took, from upload to sound.
        failures: a line each.
    """

    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Memory:
    """Resident megabytes of a process, by the second."""

    samples: list[float]

    @property
    def growth(self) -> float:
        """From the middle third of the time to the last, as a share."""
        third = max(1, len(self.samples) // 3)
        middle, last = self.samples[third : 2 * third], self.samples[-third:]
        return statistics.median(last) / statistics.median(middle or last) - 1


def visit(url: str, clip: Path) -> float:
    """Upload a clip, vocode it, fetch the sound; the seconds it took.

    Raises:
        RuntimeError: the answer is an error, or no such sound as was asked for.
        OSError: no answer.
    """
    start = time.perf_counter()
    path = upload(url, clip)
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    declared = "as the file says, or the model's own"
    values = ["a recording", file, None, declared, "ljspeech", 0.6, 12, 0, 0]
    event = json.loads(_post(f"{url}gradio_api/call/vocode", {"data": values}))["event_id"]
    with urlopen(f"{url}gradio_api/call/vocode/{event}", timeout=WAIT) as answer:
        text = answer.read().decode()
    found = re.search(r"event: complete\ndata: (.*)", text)
    if found is None:
        raise RuntimeError(f"expected a sound; got {text[-200:]!r}")
    sound, report, pictures = json.loads(found[1])
    with urlopen(f"{url}gradio_api/file={sound['path']}", timeout=WAIT) as answer:
        audio, rate = soundfile.read(BytesIO(answer.read()))
    seconds = time.perf_counter() - start
    expected = soundfile.info(clip).frames // 256 * 256
    if len(audio) != expected or rate != 22050 or not 0.005 < audio.std() < 0.5:
        raise RuntimeError(f"expected {expected} samples of speech; got {audio.shape} at {rate}")
    if "nats/sample" not in report or pictures.count("<img") != 2:
        raise RuntimeError("expected figures and two pictures; got others")
    return seconds


def load(url: str, clips: list[Path], users: int, seconds: float) -> Tally:
    """Let so many visitors come again and again for so many seconds."""
    tally = Tally()
    end = time.perf_counter() + seconds

    def visitor(number: int) -> None:
        while time.perf_counter() < end:
            try:
                tally.seconds.append(visit(url, clips[number % len(clips)]))
            except Exception as error:
                tally.failures.append(" ".join(f"{type(error).__name__}: {error}".split()))
                time.sleep(1)

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process, and where it answers."""
    command = [sys.executable, "-m", "waveflow", "demo", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        found = re.search(r"serving on (\S+)", said)
        if found is None:
            raise RuntimeError(f"the demo did not start: {said}")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield process, found[1]
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def watch(pid: int) -> Iterator[Memory]:
    """The memory of a process while the body runs."""
    memory, done = Memory([]), threading.Event()

    def sample() -> None:
        while not done.wait(0.5):
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
            found = re.search(r"VmRSS:\s*(\d+) kB", status)
            if found is not None:
                memory.samples.append(int(found[1]) / 1000)

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield memory
    finally:
        done.set()
        thread.join()


def upload(url: str, clip: Path) -> str:
    """Upload a file; where the server keeps it."""
    boundary = uuid4().hex
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{clip.name}"'
        "\r\nContent-Type: application/octet-stream\r\n\r\n"
    ).encode()
    body += clip.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    with urlopen(Request(f"{url}gradio_api/upload", body, kind), timeout=WAIT) as answer:
        path: str = json.loads(answer.read())[0]
    return path


def _post(url: str, content: object) -> str:
    kind = {"Content-Type": "application/json"}
    with urlopen(Request(url, json.dumps(content).encode(), kind), timeout=WAIT) as answer:
        text: str = answer.read().decode()
    return text


def main() -> int:
    """Load the demo, and report; 1 if a request failed or the memory grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--clips", type=Path, default=ROOT / "data" / "clips")
    options = parser.parse_args()
    clips = sorted(options.clips.glob("*.flac"))
    with server() as (process, url):
        visit(url, clips[0])  # the first also loads what is loaded late
        start = time.perf_counter()
        with watch(process.pid) as memory:
            tally = load(url, clips, options.users, options.seconds)
        took = time.perf_counter() - start
    waits = sorted(tally.seconds) or [float("nan")]
    mb = memory.samples
    print(f"{options.users} users, {took:.0f} s: {len(tally.seconds)} requests", end="")
    print(f" ({len(tally.seconds) / took:.2f} a second), {len(tally.failures)} failed")
    print(f"latency: median {statistics.median(waits):.2f} s, ", end="")
    print(f"95 % {waits[int(0.95 * (len(waits) - 1))]:.2f} s, longest {waits[-1]:.2f} s")
    print(f"memory: {mb[0]:.0f} MB at first, {max(mb):.0f} at most, {mb[-1]:.0f} at last; ", end="")
    print(f"{memory.growth:+.1%} from the middle third to the last")
    for failure in tally.failures[:5]:
        print(f"failed: {failure}", file=sys.stderr)
    return int(bool(tally.failures) or not tally.seconds or memory.growth > GROWTH)


if __name__ == "__main__":
    sys.exit(main())

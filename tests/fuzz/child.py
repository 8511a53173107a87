"""The process in which readers are fuzzed: ``python -m tests.fuzz.child PROFILE [TARGET ...]``.

Its memory is limited, an example may take seconds, not minutes, and whatever would run code, open
the network, or write outside the example's own folder is a failure. A line of JSON a target.
"""

import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz import readers

PROFILES = {
    "short": settings(max_examples=10, derandomize=True),
    "full": settings(max_examples=int(os.environ.get("FUZZ_EXAMPLES", "2000"))),
}
SECONDS = 20
"""That one example may take, on a busy machine."""
GROWTH = 200 * 2**20
"""Bytes by which the process may grow while a file is read."""
ROOM = 6 * 2**30
"""Bytes of addresses that it may ask for; more is a MemoryError."""
FORBIDDEN = re.compile(
    r"os\.(system|exec|posix_spawn|fork|forkpty)|subprocess\.Popen|socket\.(connect|bind)"
    r"|pickle\.find_class|webbrowser\.open|code\.__new__"
)
CHANGES = re.compile(r"os\.(mkdir|rename|remove|rmdir|link|symlink|chmod|truncate)|shutil\..*")

folder = None
"""Where the example at work may write."""


class Hang(BaseException):
    """An example took too long."""


class Broken(BaseException):
    """Something that no reader may do."""


def watch(event, arguments):
    """An audit hook."""
    if folder is None:
        return
    if FORBIDDEN.fullmatch(event):
        raise Broken(f"{event}{arguments}")
    if event == "open":
        path, mode, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        if writes and isinstance(path, str | bytes) and outside(path):
            raise Broken(f"writes {path!r}")
    elif CHANGES.fullmatch(event):
        paths = [path for path in arguments if isinstance(path, str | bytes | os.PathLike)]
        if any(outside(path) and not os.path.isdir(path) for path in paths):
            raise Broken(f"{event} {paths}")


def outside(path):
    return not os.path.abspath(os.fsdecode(path)).startswith((str(folder), "/dev/null"))


def alarm(*_):
    raise Hang(f"took more than {SECONDS} s")


def status(field):
    """Bytes, of this process."""
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def fuzz(name, profile):
    """What a target did wrong, or None."""
    work = readers.TARGETS[name]

    @settings(
        profile,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=False,
    )
    @given(st.data())
    def run(data):
        global folder
        place = Path(tempfile.mkdtemp())
        steps = work(data.draw, place)
        next(steps)
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
        before = status("VmHWM")
        folder = place
        signal.alarm(SECONDS)
        try:
            next(steps, None)
        except (ValueError, OSError) as error:
            if not 0 < len(str(error)) < 10_000:
                raise Broken(f"an error of {len(str(error))} letters") from error
        finally:
            signal.alarm(0)
            folder = None
            shutil.rmtree(place)
        more = status("VmHWM") - before
        if more > GROWTH:
            raise AssertionError(f"grew by {more / 2**20:.0f} MiB")

    try:
        run()
    except BaseException as error:
        text, _, draws = "".join(traceback.format_exception(error)).partition("Failing test case")
        return f"{text[-3000:]}\n{draws[:1500]}"
    return None


def main(profile, names):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    scratch = tempfile.mkdtemp()
    os.chdir(scratch)
    readers.build()
    signal.signal(signal.SIGALRM, alarm)
    sys.addaudithook(watch)
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + ROOM,) * 2)
    for name in names or readers.TARGETS:
        print(json.dumps({"begins": name}), flush=True)
        began = time.monotonic()
        wrong = fuzz(name, PROFILES[profile])
        if Path("canary").exists():
            wrong = "code of a file was run"
        seconds = round(time.monotonic() - began, 1)
        print(json.dumps({"target": name, "wrong": wrong, "seconds": seconds}), flush=True)
    os.chdir("/")
    shutil.rmtree(scratch)


if __name__ == "__main__":
    assert isinstance(sys.stdout, io.TextIOBase)
    main(sys.argv[1], sys.argv[2:])

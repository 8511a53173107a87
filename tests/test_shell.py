"""What shells do to a command: streams that are closed or full, empty variables, Ctrl-C."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CLIPS
from tests.warm import WARM_PYTHON
from waveflow.audio import read_audio, write_audio
from waveflow.cli import main

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}

FORKS = """
import json, os, sys, types
import librosa, torch, waveflow.cli.commands, waveflow.cli.sounds, waveflow.evaluation
from waveflow.cli import main

module = types.ModuleType("waveflow.training.run")
module.train = lambda *_, **__: types.SimpleNamespace(
    stopped_by=None, nats_per_sample=1.25, is_main=True
)
sys.modules["waveflow.training.run"] = module
warm, *cases = json.load(sys.stdin)
main(warm[1])
for name, arguments, streams in cases:
    child = os.fork()
    if child == 0:
        names = ("stdin", "stdout", "stderr")
        opened = [
            os.open("/dev/full" if what == "full" else f"{name}.{stream}", os.O_RDWR | os.O_CREAT)
            for stream, what in zip(names, streams)
        ]
        for number, (stream, what) in enumerate(zip(names, streams)):
            file = None
            if what == "closed":
                os.close(number)
            else:
                os.dup2(opened[number], number)
                file = open(number, "w" if number else "r", closefd=False)
            setattr(sys, stream, file)
            setattr(sys, f"__{stream}__", file)
        for number in opened:
            os.close(number)
        try:
            code = main(arguments)
        except SystemExit as stop:
            code = stop.code
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([name, code]))
"""
"""Commands in processes that share what is loaded, with streams as a shell may leave them."""

COMMANDS = {
    "vocode": ["vocode", "a.wav", "-o", "NAME.wav", "--temperature", "0", "--device", "cpu"],
    "mel": ["mel", "a.wav", "-o", "NAME.npz"],
    "piped": ["mel", "a.wav", "-o", "-"],
    "score": ["score", "a.wav", "b.wav", "--device", "cpu"],
    "bad": ["score", "a.wav", "missing.wav", "--device", "cpu"],
    "wrong": ["score", "--sing"],
    "train": ["train", "recipe.yaml", "--data", "x", "--out", "run", "--device", "cpu"],
    "help": ["vocode", "--help"],
}
PRINTS = ("piped", "score", "bad", "help")
"""Those that are asked for what stands on stdout."""
STREAMS = [
    ("open", "open", "open"),
    ("closed", "open", "open"),
    ("open", "closed", "open"),
    ("open", "open", "closed"),
    ("closed", "closed", "closed"),
    ("open", "full", "open"),
    ("open", "open", "full"),
    ("closed", "full", "full"),
]
NEEDED = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@pytest.fixture(scope="module")
def forked(model, tmp_path_factory):
    """The folder, and the statuses by command and streams."""
    folder = tmp_path_factory.mktemp("streams")
    audio, rate = read_audio(CLIPS / "LJ001-0016.flac")
    for name in "ab":
        write_audio(folder / f"{name}.wav", audio[20000:22048], rate)
    (folder / "recipe.yaml").write_text("model: {name: lapflow}")
    cases = [("warm", ["mel", "a.wav", "-o", "warm.npz", "--model", model], None)]
    for (command, words), streams in itertools.product(COMMANDS.items(), STREAMS):
        name = "-".join((command, *streams))
        words = [word.replace("NAME", name) for word in words]
        if command in ("vocode", "mel", "piped", "score", "bad"):
            words += ["--model", model]
        cases.append((name, words, streams))
    done = subprocess.run(
        [WARM_PYTHON, "-c", FORKS],
        cwd=folder,
        env=ENVIRONMENT,
        input=json.dumps(cases),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder, dict(map(json.loads, done.stdout.splitlines()))


@NEEDED
@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("streams", STREAMS, ids="-".join)
def test_streams_that_are_closed_or_full_lose_no_work(command, streams, forked):
    folder, statuses = forked
    name = "-".join((command, *streams))
    _, stdout, stderr = streams
    expected = {"bad": 1, "wrong": 2}.get(command, 0)
    if stdout != "open" and command in PRINTS:
        expected = 1  # what was asked for did not get out
    assert statuses[name] == expected
    for suffix in {"vocode": ["wav"], "mel": ["npz"]}.get(command, []):
        whole = folder / f"{command}-open-open-open.{suffix}"
        assert (folder / f"{name}.{suffix}").read_bytes() == whole.read_bytes()
    if stdout == "open" and command in PRINTS:
        assert (folder / f"{name}.stdout").stat().st_size
    if stderr == "open":
        said = (folder / f"{name}.stderr").read_text().splitlines()
        assert len(said) == (expected > 0) + (stdout == "full" and command == "train")
        if stdout != "open" and command in PRINTS:
            reason = {"closed": "Bad file descriptor", "full": "No space left on device"}[stdout]
            assert said == [f"waveflow: error: stdout: {reason}"]


def test_a_real_shell_may_close_all_streams(model, tmp_path):
    command = f'exec "{sys.executable}" -m waveflow vocode "{CLIPS}/LJ001-0016.flac" -o o.wav'
    command += f' --temperature 0.1 --model "{model}" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, env=ENVIRONMENT).returncode == 0
    assert os.listdir(tmp_path) == ["o.wav"]
    assert len(read_audio(tmp_path / "o.wav")[0]) > 100_000


EMPTY = [
    ["vocode", "", "-o", "out/"],
    ["vocode", "a.wav", "", "-o", "out/"],
    ["vocode", "a.wav", "-o", ""],
    ["vocode", "a.wav", "-o", "out/", "--model", ""],
    ["vocode", "a.wav", "-o", "out/", "--convention", ""],
    ["mel", "", "-o", "out/"],
    ["mel", "a.wav", "-o="],
    ["score", ""],
    ["score", "a.wav", "--model="],
    ["evaluate", ""],
    ["evaluate", "a.wav", "--split", ""],
    ["evaluate", "a.wav", "-o", ""],
    ["evaluate", "a.wav", "--page", ""],
    ["bench", "--model", ""],
    ["bench", "--json", ""],
    ["train", "", "--data", "x", "--out", "y"],
    ["train", "r.yaml", "--data", "", "--out", "y"],
    ["train", "r.yaml", "--data", "x", "--out", ""],
    ["train", "r.yaml", "--data", "x", "--out", "y", "--init-from", ""],
    ["train", "r.yaml", "--data", "x", "--out", "y", "--exclude-list", ""],
    ["train", "r.yaml", "--data", "x", "--out", "y", "--validation-list", ""],
    ["shard", "", "--data", "x", "--out", "y"],
    ["shard", "r.yaml", "--data", "", "--out", "y"],
    ["shard", "r.yaml", "--data", "x", "--out", ""],
    ["export", "onnx", "-o", ""],
    ["import", "", "-o", "x"],
    ["import", "x.pt", "-o", ""],
    ["info", ""],
    ["demo", "--model", ""],
    ["demo", "--host", ""],
]


@pytest.mark.parametrize("arguments", EMPTY, ids=" ".join)
def test_an_empty_string_is_no_path(arguments, tmp_path, monkeypatch, capsys):
    """As an unset variable gives it, in a folder that could be taken for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wav").touch()
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "got an empty string" in line
    assert os.listdir(tmp_path) == ["a.wav"]


SCRIPTS = {
    "module": [sys.executable, "-m", "waveflow", "score", "FIFO"],
    "command": [sys.executable, "-c", "import sys; from waveflow.cli import main; sys.exit(main())"]
    + ["score", "FIFO"],
    "recipe": [sys.executable, str(ROOT / "recipes" / "ljspeech" / "prepare.py"), "verify", "x"],
    "train.sh": [str(ROOT / "recipes" / "ljspeech" / "train.sh"), "--smoke", "--out", "run"],
}


HOOK = """
import os, sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["SLOW"]:
            sys.meta_path.remove(self)
            open("reached", "w").close()
            for _ in range(200):
                time.sleep(0.1)

sys.meta_path.insert(0, Slow())
"""
"""Makes a module load for long, and tells when it begins."""


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("module", ["numpy", "waveflow.audio"])
def test_interrupted_while_modules_load(script, module, tmp_path):
    """Ctrl-C ends a command with its status and without a word, whatever it is about to load."""
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    programs = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    process = subprocess.Popen(
        SCRIPTS[script],
        cwd=tmp_path,
        env=ENVIRONMENT | {"PYTHONPATH": path, "PATH": programs, "SLOW": module},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    end = time.monotonic() + 60
    while not (tmp_path / "reached").exists():
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    printed, said = process.communicate(timeout=15)
    assert (process.returncode, said) == (130, "")
    assert all(line.startswith("== ") for line in printed.splitlines())


def test_an_interrupt_in_the_midst_of_an_import_waits_for_its_end(tmp_path):
    """So that what is unfinished can be cleaned up, and no C code loses the interrupt."""
    (tmp_path / "slow.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "except BaseException:\n    pass\n"
        "done = True\n"
    )
    script = """
import sys, time
from waveflow.io.signals import raise_when_interrupted
raise_when_interrupted()
try:
    import slow
    time.sleep(20)
except KeyboardInterrupt:
    sys.exit(7 if slow.done else 8)
"""
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = ENVIRONMENT | {"PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=15)
    assert done.returncode == 7

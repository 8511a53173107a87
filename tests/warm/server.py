"""Imports once, then forks for each command of a client."""

import atexit
import json
import multiprocessing
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from types import ModuleType

PRELOADED = [
    "torch",
    "librosa.filters",
    "lightning.pytorch",
    "matplotlib.pyplot",
    "soundfile",
    "waveflow.cli",
    "waveflow.evaluation",
    "waveflow.training.run",
]
"""What the processes of tests import."""

# A fork has but one thread, so that none may begin with an import: these begin some.
os.environ |= {"OPENBLAS_NUM_THREADS": "1"}
found = find_spec("onnxruntime")  # torchmetrics imports it; it is there, but not executed
if found:
    sys.modules["onnxruntime"] = module_from_spec(found)
    sys.modules["onnxruntime"].InferenceSession = object
for name in PRELOADED:
    import_module(name)
sys.modules.pop("onnxruntime", None)

OWN = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}


def is_served(environment):
    """Whether a fork of this process is what a new interpreter would be."""
    own = {name: value for name, value in environment.items() if name.startswith("PYTHON")}
    return own == OWN


def receive(connection):
    """The request of a client, with its files under new numbers."""
    head, files, _, _ = socket.recv_fds(connection, 4, 250)
    left, text = int.from_bytes(head, "big"), b""
    while len(text) < left:
        text += connection.recv(left - len(text))
    return json.loads(text), files


def place(files, wanted):
    """Give files the numbers that they have in the client, and close all others."""
    high = [os.dup2(file, 600 + index) for index, file in enumerate(files)]
    os.closerange(0, 600)
    for file, number in zip(high, wanted, strict=True):
        os.dup2(file, number, inheritable=True)
    os.closerange(600, 600 + len(high))


def become(request, files):
    """Make this fork the process that the client asked for."""
    os.setpgrp()
    place(files, request["files"])
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in request["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
    sys.executable = request["executable"]
    multiprocessing.set_executable(sys.executable)
    rank_zero = sys.modules["lightning.fabric.utilities.rank_zero"]
    rank_zero.rank_zero_only.rank = rank_zero._get_rank() or 0  # as its import reads it
    sys.modules["torch"].set_num_threads(
        int(os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0)))
    )
    sys.stdin, sys.stdout, sys.stderr = streams = [
        open(number, mode, buffering=buffering, closefd=False, errors=errors)
        for number, mode, buffering, errors in (
            (0, "r", -1, "strict"),
            (1, "w", 1 if 1 in request["files"] and os.isatty(1) else -1, "strict"),
            (2, "w", 1, "backslashreplace"),
        )
    ]
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = streams


def run(words):
    """Run a module, a text or a script as the main program; its exit status.

    Whatever else it raises ends this process in the usual way.
    """
    try:
        execute(words)
    except SystemExit as stop:
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print(stop.code, file=sys.stderr)
        return 1
    return 0


def leave(status):
    """End as an interpreter ends, but without a second's work of taking modules apart."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def execute(words):
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    elif words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        sys.path[0] = ""
        program = sys.modules["__main__"] = ModuleType("__main__")  # without a file
        exec(compile(words[1], "<string>", "exec"), program.__dict__)
    else:
        sys.argv = words
        sys.path[0] = os.path.dirname(os.path.realpath(words[0]))
        runpy.run_path(words[0], run_name="__main__")


class Server:
    """Forks for each client, forwards signals to its child, and reports how the child ended."""

    def __init__(self, address, owner):
        self.owner = owner
        self.children = {}
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(f"{address}.new")
        self.listener.listen(64)
        os.rename(f"{address}.new", address)
        self.waker, self.wakes = socket.socketpair()
        self.waker.setblocking(False)
        self.wakes.setblocking(False)
        signal.set_wakeup_fd(self.wakes.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.chooser = selectors.DefaultSelector()
        self.chooser.register(self.listener, selectors.EVENT_READ)
        self.chooser.register(self.waker, selectors.EVENT_READ)

    def serve(self):
        """Until the owner is gone; in a child, what it shall run."""
        while os.path.exists(f"/proc/{self.owner}"):
            for key, _ in self.chooser.select(1):
                if key.fileobj is self.waker:
                    self.waker.recv(1024)
                elif key.fileobj is self.listener:
                    words = self.start(self.listener.accept()[0])
                    if words:
                        return words
                else:
                    self.forward(key.data, key.fileobj)
            self.report()
        return None

    def start(self, connection):
        request, files = receive(connection)
        if is_served(request["environment"]):
            connection.send(b"took")
            child = os.fork()
            if not child:
                connection.close()
                self.close()
                become(request, files)
                return request["words"]
            self.children[child] = connection
            self.chooser.register(connection, selectors.EVENT_READ, child)
        else:
            connection.close()
        for file in files:
            os.close(file)
        return None

    def close(self):
        signal.set_wakeup_fd(-1)
        self.chooser.close()
        for one in (self.listener, self.waker, self.wakes, *self.children.values()):
            one.close()

    def forward(self, child, connection):
        try:
            numbers = connection.recv(64)
        except OSError:
            numbers = b""
        if not numbers:  # the client was killed
            self.chooser.unregister(connection)
        for number in numbers or bytes([signal.SIGKILL]):
            os.kill(child, number)

    def report(self):
        for child, connection in list(self.children.items()):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                del self.children[child]
                if connection in self.chooser.get_map():
                    self.chooser.unregister(connection)
                try:
                    code = os.waitstatus_to_exitcode(status)
                    connection.send(code.to_bytes(4, "big", signed=True))
                except OSError:
                    pass
                connection.close()


def main():
    address, owner = sys.argv[1:]
    threads = os.listdir("/proc/self/task")
    assert len(threads) == 1, "expected imports that begin no thread"
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the first client may block some
    words = Server(address, owner).serve()
    if words:
        leave(run(words))


main()

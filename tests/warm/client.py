"""A command for the warm server: hands over all that a process inherits, and ends as it ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def is_served(words):
    """Whether the server can run it: a module, a script or a text, without options before it."""
    return bool(words) and (words[0] in ("-m", "-c") or not words[0].startswith("-"))


def open_files():
    """All file descriptors but the one that lists them."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            os.fstat(int(name))
        except OSError:
            continue
        found.append(int(name))
    return found


def connect(folder, owner, python):
    """A connection to the server; the first caller starts it."""
    address = os.path.join(folder, "socket")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(address)
        return connection
    except OSError:
        pass
    try:
        os.mkdir(os.path.join(folder, "starting"))
    except FileExistsError:
        pass
    else:
        with open(os.path.join(folder, "log"), "ab") as log:
            server = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")
            subprocess.Popen(
                [python, server, address, owner],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=os.setpgrp,  # no Ctrl-C of a terminal
            )
    for _ in range(6000):
        try:
            connection.connect(address)
            return connection
        except OSError:
            time.sleep(0.05)
    sys.exit(f"expected the warm server to answer; {folder}/log tells why it does not")


def main():
    owner, python, folder, *words = sys.argv[1:]
    while words[:1] == ["-B"]:  # of a process that another one starts; it alters no result
        del words[0]
    if not is_served(words):
        os.execv(python, [python, *words])
    files = open_files()
    connection = connect(folder, owner, python)
    request = {
        "words": words,
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "files": files,
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "ignored": [int(n) for n in FORWARDED if signal.getsignal(n) == signal.SIG_IGN],
        "executable": os.path.join(folder, "python"),
    }
    text = json.dumps(request).encode()
    socket.send_fds(connection, [len(text).to_bytes(4, "big")], files)
    connection.sendall(text)
    if not connection.recv(4):  # the server declines
        os.execv(python, [python, *words])
    for number in FORWARDED:
        if number not in request["ignored"]:
            signal.signal(number, lambda got, frame: connection.send(bytes([got])))
    answer = connection.recv(4)
    status = int.from_bytes(answer, "big", signed=True) if answer else 1
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()

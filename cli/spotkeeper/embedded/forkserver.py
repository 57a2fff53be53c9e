"""A process that has loaded what all services share, and forks itself into each of them.

Loading it is two thirds of a service's start. `forks.py` runs it as `python -m
spotkeeper.embedded.forkserver`, with a socket as its standard input: a line of JSON in it names
the program to fork, one out of it a fork's process id, or the status it ended with.
"""

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from setproctitle import setproctitle

from spotkeeper.embedded.launch import die_with

SHARED = ("chassis.service",)
"""It brings the contracts, the clients of Kafka and PostgreSQL, and the SQL toolkit."""

CHUNK = 65_536


@dataclass(frozen=True)
class Program:
    """What a fork becomes: `python -m <module> <words>`, with its surroundings."""

    module: str
    words: list[str]
    log: str
    """The file that what it prints is appended to."""

    environment: dict[str, str]

    def to_line(self) -> bytes:
        """The program as it travels."""
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    """Serve, and become the program in each fork."""
    for module in SHARED:
        importlib.import_module(module)
    gc.freeze()  # A collection would write to pages that the forks could share.
    server = os.getpid()
    program = serve(socket.socket(fileno=sys.stdin.fileno()))
    if program is not None:
        die_with(server)
        become(program)


def serve(control: socket.socket) -> Program | None:
    """Fork at each request and tell of each end, until the other side closes.

    Returns in each fork as well, with what it shall become.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda word, frame: None)  # It only has to wake us.
    pending = b""
    while True:
        readable, _, _ = select.select([control.fileno(), woken], [], [])
        if woken in readable:
            os.read(woken, CHUNK)
            for pid, status in _ended():
                _tell(control, ended=pid, status=status)
        if control.fileno() in readable:
            received = control.recv(CHUNK)
            if not received:
                return None
            *requests, pending = (pending + received).split(b"\n")
            for request in requests:
                pid = os.fork()
                if pid == 0:
                    control.detach()  # Its descriptor will be the program's standard input.
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.close(woken)
                    os.close(wake)
                    return Program(**json.loads(request))
                os.setpgid(pid, pid)  # So that it can be killed with its children.
                _tell(control, forked=pid)


def become(program: Program) -> None:
    """Turn a fork into the program; returns when that ends."""
    setproctitle(" ".join([sys.executable, "-m", program.module, *program.words]))
    with open(os.devnull, "rb") as nothing, open(program.log, "ab") as log:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(program.environment)
    sys.argv[1:] = program.words
    runpy.run_module(program.module, run_name="__main__", alter_sys=True)


def _ended() -> Iterator[tuple[int, int]]:
    """The forks that have ended, with their exit status (negative for a signal)."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _tell(control: socket.socket, **news: Any) -> None:
    control.sendall(json.dumps(news).encode() + b"\n")


if __name__ == "__main__":
    main()

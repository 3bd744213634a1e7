"""The parent of a tool server and of all that it starts: a program of its own, for Linux.

    python keeper.py FD COMMAND...

It becomes a "child subreaper": whatever sessions, process groups and environments the processes below
it make for themselves, they stay below it when their own parents end. When the command ends, or when
the pipe at FD ends, it kills them all. Terzetto alone holds the other end of that pipe, so it also ends
by a `kill -9` of Terzetto.

Rule: only the standard library, and little of it, as it starts before each tool server.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Sent to the process group, for the command."""

NOT_FOUND = 127
MOST_S = 2.0
"""The longest that killed processes may take to end."""


def main(pipe: int, command: list[str]) -> int:
    """Run the command to its end, or to that of the pipe; its exit code."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    woken, waker = os.pipe()
    for end in (woken, waker):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if (pid := os.fork()) == 0:
        _become(command, prctl)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # They end with the command.
        os.dup2(nothing, stream)
    code = _wait(pid, pipe, woken)
    _kill_all()
    return code


def _become(command: list[str], prctl: Any) -> None:
    """Be the command; it dies with the keeper."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (*IGNORED, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        os.execvp(command[0], command)
    except OSError as error:
        os.write(2, f"{command[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_FOUND)


def _wait(pid: int, pipe: int, woken: int) -> int:
    while True:
        ready, _, _ = select.select([pipe, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
        for ended, status in _reaped():
            if ended == pid:
                return os.waitstatus_to_exitcode(status)
        if pipe in ready:
            return -signal.SIGKILL


def _reaped() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _kill_all() -> None:
    """Kill the children until there are none; those of a killed one become children here."""
    end = time.monotonic() + MOST_S
    while (children := _children()) and time.monotonic() < end:
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        list(_reaped())
        time.sleep(0.002)


def _children() -> list[int]:
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue  # It has ended.
        if parent == os.getpid():
            found.append(int(name))
    return found


if __name__ == "__main__":
    code = main(int(sys.argv[1]), sys.argv[2:])
    os._exit(code if code >= 0 else 128 - code)

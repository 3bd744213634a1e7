"""Processes that are measured from outside: servers, their CPU time and memory, and forked children.

Rule: whoever starts a process ends it, by its own pid, when the block ends.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SPEED = Path(__file__).resolve().parent / "speed"
START_S = 60.0
QUIET_S = 60.0
CHILD_S = 900
"""Hang guards, never results."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server process and where it listens."""

    pid: int
    url: str

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def rss_mib(self) -> float:
        """Its memory once it has nothing to do."""
        until, busy = time.monotonic() + QUIET_S, True
        while busy and time.monotonic() < until:
            before = self.cpu_s()
            time.sleep(0.5)
            busy = self.cpu_s() - before > 0.02
        return rss_mib(self.pid)


@contextmanager
def serving(name: str, folder: Path, *flags: str) -> Iterator[Server]:
    """One of the servers of `speed/servers.py`; it is killed when the block ends.

    It also ends with this process, when its stdin is closed.
    """
    command = [sys.executable, str(SPEED / "servers.py"), name, str(folder), *flags]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        (folder / "stderr").open("w") as errors,
        subprocess.Popen(command, **pipes, stderr=errors, text=True) as child,
    ):
        try:
            assert child.stdout
            url = child.stdout.readline().strip()
            _wait_until_it_listens(child, url, folder / "stderr")
            yield Server(child.pid, url)
        finally:
            child.kill()


def _wait_until_it_listens(child: subprocess.Popen[str], url: str, errors: Path) -> None:
    place, until = urlsplit(url), time.monotonic() + START_S
    while url and child.poll() is None and time.monotonic() < until:
        with suppress(ConnectionRefusedError):
            socket.create_connection((place.hostname, place.port)).close()
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {errors.read_text()[-2_000:]}")


def cpu_s(pid: int | str = "self") -> float:
    """The CPU seconds of a process, to the nanosecond, over all its threads that live."""
    return sum(threads_cpu_s(pid).values())


def threads_cpu_s(pid: int | str = "self") -> dict[int, float]:
    """The CPU seconds of each thread; the first thread has the id of the process."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # It has just ended.
            found[int(thread.name)] = int((thread / "schedstat").read_text().split()[0]) / 1e9
    return found


def rss_mib(pid: int | str = "self") -> float:
    pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def in_child(work: Callable[[], Any]) -> Any:
    """The result of `work` in a process of its own, whose memory nothing else has used."""
    read, write = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(CHILD_S)
            os.close(read)
            with open(write, "w") as result:
                result.write(repr(work()))
            os._exit(0)
        finally:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    os.close(write)
    with open(read) as result:
        text = result.read()
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the child process has failed")
    return eval(text)

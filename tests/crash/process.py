"""The server process of the crash test: started, signalled and waited for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import trio

START_S = 60.0
"""A hang guard for a start on a busy machine."""


class Process:
    """The warm process, which forks servers, and the server that it has forked last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.server", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.pid = 0

    def _ask(self, line: str) -> int:
        assert self._warm.stdin is not None and self._warm.stdout is not None
        self._warm.stdin.write(line + "\n")
        self._warm.stdin.flush()
        return int(self._warm.stdout.readline())

    def start(self, number: int) -> None:
        self.pid = self._ask(f"start {number}")

    async def url(self) -> str | None:
        """Where the server listens, once it does; None if it is dead."""
        file = self._folder / "data" / "server.json"
        with trio.fail_after(START_S):
            while True:
                try:
                    found = json.loads(file.read_text())
                    if found["pid"] == self.pid:
                        return str(found["url"])
                except (OSError, ValueError):
                    pass
                if self._is_dead():
                    return None
                await trio.sleep(0.002)

    def _is_dead(self) -> bool:
        """Whether it waits to be reaped."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for the server's end; its exit code, or the signal that ended it, negative."""
        return self._ask("wait")

    def close(self) -> None:
        assert self._warm.stdin is not None and self._warm.stdout is not None
        self._warm.stdin.close()
        self._warm.stdout.close()
        self._warm.wait()

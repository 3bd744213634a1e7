"""The server process of the load test."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

GRACE_S = 0.5
WAIT_S = 180.0
"""A hang guard for each wait, never a result."""


class Failed(AssertionError):
    """Something that must hold at any speed does not."""


class Server:
    """The server process, and the socket on which it answers with its gauges."""

    def __init__(self, folder: Path, tasks: int, pause_s: float, *, blame: bool) -> None:
        ours, theirs = socket.socketpair()
        more = [str(folder), str(tasks), str(pause_s), str(GRACE_S), str(theirs.fileno())]
        more += ["blame"] if blame else []
        self._folder = folder
        self._file = (folder.parent / "server.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.server", *more],
            pass_fds=[theirs.fileno()],
            stderr=self._file,
            cwd=Path(__file__).parents[2],
        )
        theirs.close()
        self._line = trio.SocketStream(trio.socket.from_stdlib_socket(ours))

    async def address(self) -> tuple[str, int]:
        """Where it listens, once it does."""
        while self.process.poll() is None:
            try:
                url = json.loads((self._folder / "server.json").read_text())["url"]
            except (OSError, ValueError):
                await trio.sleep(0.01)
            else:
                host, _, port = url.removeprefix("http://").partition(":")
                return host, int(port)
        raise Failed("the server did not start")

    async def ask(self, what: str) -> dict[str, Any]:
        await self._line.send_all(json.dumps(what).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            data += await self._line.receive_some()
        told: dict[str, Any] = json.loads(data)
        return told

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until its gauges say so."""
        with trio.fail_after(WAIT_S):
            while not true(await self.ask("writing")):
                await trio.sleep(0.02)

    async def ended(self) -> int:
        with trio.fail_after(WAIT_S):
            while self.process.poll() is None:
                await trio.sleep(0.005)
        return int(self.process.returncode)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._line.socket.close()
        self._file.close()

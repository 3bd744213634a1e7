"""A real browser, and a server of its own process for it."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from playwright.sync_api import Browser

TESTS = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
START_S = 30.0
"""A hang guard for a start on a busy machine."""


def chromium() -> str | None:
    """The browser's path, if the tests of the page can be run here."""
    is_driven = find_spec("playwright") and find_spec("axe_playwright_python")
    return (shutil.which("chromium") or shutil.which("chromium-browser")) if is_driven else None


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root, as in CI, may not use the sandbox; the only pages are our own.
        running = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        yield running
        running.close()


class ServerProcess:
    """A server that can be killed and started again at the same address.

    With `plays` its agents are those of `browser.server`, otherwise the product's.
    """

    def __init__(self, folder: Path, *, plays: bool) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self._log = folder.with_suffix(".log")
        bind = f"127.0.0.1:{self.port}"
        with_plays = [sys.executable, "-m", "browser.server", str(folder), str(self.port)]
        real = [str(BIN / "terzetto"), "serve", "--data", str(folder), "--bind", bind]
        self._command = with_plays if plays else real
        self._process: subprocess.Popen[bytes] | None = None

    def keys(self, *arguments: str) -> dict[str, str]:
        """What `terzetto keys` prints. Once there is a key, the server wants one."""
        command = [str(BIN / "terzetto"), "keys", *arguments, "--data", str(self._folder), "--json"]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        shown: dict[str, str] = json.loads(said.stdout)
        return shown

    def start(self) -> None:
        """Return once it listens."""
        with self._log.open("wb") as said:
            self._process = subprocess.Popen(
                self._command, cwd=TESTS, stderr=said, stdout=subprocess.DEVNULL
            )
        transport = httpx.HTTPTransport(retries=8)  # Each waits twice as long, 0.5 s at first.
        with httpx.Client(transport=transport, timeout=START_S) as client:
            client.get(f"{self.url}/readyz").raise_for_status()

    def kill(self) -> None:
        """As a power cut does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

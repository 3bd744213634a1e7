"""The requests that the API refuses, and the errors it answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_client import Api, check_problem, scripted_api
from scripted import Cast

from actors.settings import Settings
from web.api.bodies import MOST_FAULTS

ABSENT = "00000000-0000-4000-8000-000000000000"
JSON = {"Content-Type": "application/json"}


def described(text: str) -> bytes:
    return json.dumps({"task_description": text}).encode()


NOT_JSON = {
    "nothing": b"",
    "blanks": b"  \n",
    "half": b'{"task_description": "a',
    "a trailing comma": b'{"task_description": "a",}',
    "two values": b'{"task_description": "a"} {}',
    "single quotes": b"{'task_description': 'a'}",
    "not UTF-8": b'{"task_description": "\xff\xfe"}',
    "an overlong form": b'{"task_description": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"task_description": "\xed\xa0\x80"}',
    "UTF-16": '{"task_description": "a"}'.encode("utf-16"),
    "UTF-32": '{"task_description": "a"}'.encode("utf-32-le"),
    "NaN": b'{"task_description": "a", "deadline_s": NaN}',
    "Infinity": b'{"task_description": "a", "deadline_s": Infinity}',
    "-Infinity": b'{"task_description": "a", "metadata": {"a": -Infinity}}',
    "a raw line break": b'{"task_description": "a\nb"}',
    "lists too deep": b"[" * 200_000,
    "closed lists too deep": b"[" * 100_000 + b"]" * 100_000,
    "objects too deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
}


async def test_a_body_that_is_not_json_in_utf_8_is_malformed(served, subtests):
    async with scripted_api(served) as api:
        for name, body in NOT_JSON.items():
            with subtests.test(name):
                answer = await api.http.post("/tasks", content=body, headers=JSON)

                check_problem(answer, 400, "malformed_body")

        assert (await api.http.get("/tasks")).json()["tasks"] == []


WRONG_TASKS: dict[str, Any] = {
    "a list": [],
    "a string": "frogs",
    "null": None,
    "a number": 5,
    "no description": {},
    "description null": {"task_description": None},
    "description a number": {"task_description": 5},
    "description a list": {"task_description": ["frogs"]},
    "empty": {"task_description": ""},
    "blank": {"task_description": " \n\t\u2028\u00a0"},
    "too long": {"task_description": "x" * 20_001},
    "a lone surrogate": {"task_description": "frogs \ud800"},
    "half of a pair, low": {"task_description": "\udc38 frogs"},
    "NUL": {"task_description": "fro\x00gs"},
    "an unknown field": {"task_description": "a", "colour": "green"},
    "an unknown field with a surrogate": {"task_description": "a", "\ud800": "green"},
    "deadline too short": {"task_description": "a", "deadline_s": 0.99},
    "deadline zero": {"task_description": "a", "deadline_s": 0},
    "deadline negative": {"task_description": "a", "deadline_s": -1},
    "deadline too long": {"task_description": "a", "deadline_s": 86_400.1},
    "deadline a string": {"task_description": "a", "deadline_s": "60"},
    "deadline a boolean": {"task_description": "a", "deadline_s": True},
    "deadline huge": {"task_description": "a", "deadline_s": 10**300},
    "metadata a list": {"task_description": "a", "metadata": ["a"]},
    "metadata of numbers": {"task_description": "a", "metadata": {"a": 1}},
    "metadata nested": {"task_description": "a", "metadata": {"a": {"b": "c"}}},
    "metadata of 33": {"task_description": "a", "metadata": {str(n): "" for n in range(33)}},
    "metadata too big": {"task_description": "a", "metadata": {"a": "x" * 4_096}},
    "metadata too big in bytes": {"task_description": "a", "metadata": {"a": "ü" * 2_048}},
    "metadata with a surrogate": {"task_description": "a", "metadata": {"a": "\udfff"}},
    "metadata key with a surrogate": {"task_description": "a", "metadata": {"\ud800": "a"}},
    "metadata with NUL": {"task_description": "a", "metadata": {"a": "\0"}},
}


async def test_a_task_of_wrong_shape_or_values_is_refused(served, subtests):
    async with scripted_api(served) as api:
        for name, values in WRONG_TASKS.items():
            with subtests.test(name):
                answer = await api.http.post("/tasks", content=json.dumps(values), headers=JSON)

                check_problem(answer, 422, "invalid_request")

        assert (await api.http.get("/tasks")).json()["tasks"] == []


async def test_a_body_that_is_no_object_is_named_so(served):
    async with scripted_api(served) as api:
        answer = await api.http.post("/tasks", content=b"[]", headers=JSON)

        problem = check_problem(answer, 422, "invalid_request")
        assert problem["detail"] == "the body: Input should be a JSON object"


async def test_a_bounded_number_of_faults_is_listed(served):
    unknown = {f"field {number}": 1 for number in range(MOST_FAULTS + 1)}
    async with scripted_api(served) as api:
        answer = await api.http.post("/tasks", json={"task_description": "a", **unknown})

        assert len(check_problem(answer, 422, "invalid_request")["errors"]) == MOST_FAULTS


async def test_a_number_that_no_machine_holds_is_the_callers_fault(served, subtests):
    async with scripted_api(served) as api:
        for number in ("9" * 5_000, "1e400", "-" + "9" * 400):
            with subtests.test(number[:5]):
                body = b'{"task_description": "a", "deadline_s": %s}' % number.encode()
                answer = await api.http.post("/tasks", content=body, headers=JSON)

                assert answer.status_code in {400, 422}
                check_problem(answer, answer.status_code, None)


async def test_an_idempotency_key_has_1_to_255_characters(served, subtests):
    async with scripted_api(served) as api:
        for key in ("", "k" * 256):
            with subtests.test(str(len(key))):
                headers = {**JSON, "Idempotency-Key": key}
                answer = await api.http.post("/tasks", content=described("a"), headers=headers)

                check_problem(answer, 422, "invalid_request")


FOREIGN_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x")
JSON_TYPES = ("application/json; charset=utf-8", "Application/JSON", "application/json")


async def test_a_task_in_another_media_type_is_refused(served, subtests):
    async with scripted_api(served) as api:
        for media_type in FOREIGN_TYPES:
            with subtests.test(media_type):
                headers = {"Content-Type": media_type}
                answer = await api.http.post("/tasks", content=described("a"), headers=headers)

                check_problem(answer, 415, "unsupported_media_type")


async def test_json_is_recognised_whatever_its_parameters_and_case(served, subtests):
    async with scripted_api(served) as api:
        for media_type in JSON_TYPES:
            with subtests.test(media_type):
                headers = {"Content-Type": media_type}
                answer = await api.http.post("/tasks", content=described("a"), headers=headers)

                assert answer.status_code == 201


# --- Queries ------------------------------------------------------------------------------------

WRONG_QUERIES = [
    ("GET", "/tasks?limit=0"),
    ("GET", "/tasks?limit=201"),
    ("GET", "/tasks?limit=abc"),
    ("GET", "/tasks?limit="),
    ("GET", "/tasks?limit=-1"),
    ("GET", "/tasks?limit=1.5"),
    ("GET", "/tasks?limit=" + "9" * 5_000),
    ("GET", "/tasks?cursor=nonsense"),
    ("GET", "/tasks?cursor="),
    ("GET", "/tasks?cursor=%00"),
    ("GET", "/tasks?cursor=-1"),
    ("GET", "/tasks?status=asleep"),
    ("GET", "/tasks?status="),
    ("GET", "/tasks?colour=green"),
    ("POST", "/tasks?colour=green"),
    ("GET", "/documents?limit=0"),
    ("GET", "/documents?limit=201"),
    ("GET", "/documents?limit=abc"),
    ("GET", "/documents?cursor=nonsense"),
    ("GET", "/documents?colour=green"),
    ("POST", "/documents?colour=green"),
    ("GET", "/documents/search"),
    ("GET", "/documents/search?q=frogs&limit=0"),
    ("GET", "/documents/search?q=frogs&limit=101"),
    ("GET", "/documents/search?q=frogs&limit=abc"),
    ("GET", "/documents/search?q=frogs&colour=green"),
    ("GET", "/agents?colour=green"),
    ("GET", "/tasks/{id}?colour=green"),
    ("GET", "/tasks/{id}/status?colour=green"),
    ("GET", "/tasks/{id}/events?colour=green"),
    ("GET", "/tasks/{id}/events?after=-1"),
    ("GET", "/tasks/{id}/events?after=2"),
    ("GET", "/tasks/{id}/events?after=abc"),
    ("GET", "/tasks/{id}/events?after="),
    ("GET", "/tasks/{id}/events?after=0.5"),
    ("GET", "/tasks/{id}/events?after=" + "9" * 5_000),
    ("GET", "/tasks/{id}/events?follow=perhaps"),
    ("POST", "/tasks/{id}/execute?colour=green"),
    ("POST", "/tasks/{id}/execute?after=-1"),
    ("POST", "/tasks/{id}/execute?after=2"),
    ("POST", "/tasks/{id}/execute?after=abc"),
    ("POST", "/tasks/{id}/execute?on_disconnect=shrug"),
    ("POST", "/tasks/{id}/cancel?colour=green"),
    ("POST", "/tasks/{id}/retry?colour=green"),
    ("POST", "/tasks/{id}/retry?after=-1"),
    ("POST", "/tasks/{id}/retry?after=abc"),
    ("DELETE", "/tasks/{id}?colour=green"),
]


async def test_a_wrong_query_is_refused_and_changes_nothing(served, subtests):
    async with scripted_api(served, library=None) as api:
        task_id = await api.create()
        before = await api.task(task_id)
        for method, path in WRONG_QUERIES:
            creates = (method, path[:7]) == ("POST", "/tasks?")
            body: dict[str, Any] = {"content": described("a"), "headers": JSON} if creates else {}
            with subtests.test(f"{method} {path[:60]}"):
                answer = await api.http.request(method, path.replace("{id}", task_id), **body)

                check_problem(answer, 422, "invalid_request")

        assert await api.task(task_id) == before
        assert len((await api.http.get("/tasks")).json()["tasks"]) == 1


@pytest.mark.parametrize("what", ["execute", "retry"])
async def test_after_past_the_end_is_refused_without_starting_the_task(served, what):
    async with scripted_api(served, Cast(writes=[60])) as api:
        task_id = await api.create()
        if what == "retry":
            await api.cancel(task_id)
        before = await api.task(task_id)

        answer = await api.http.post(f"/tasks/{task_id}/{what}", params={"after": 99})

        check_problem(answer, 422, "invalid_request")
        assert await api.task(task_id) == before


async def test_a_wrong_last_event_id_is_refused(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        for wrong in ("abc", "-1", "99"):
            headers = {"Accept": "text/event-stream", "Last-Event-ID": wrong}
            answer = await api.http.get(f"/tasks/{task_id}/events", headers=headers)
            check_problem(answer, 422, "invalid_request")


# --- Bodies of cancel ---------------------------------------------------------------------------


WRONG_CANCELS = [
    (b'{"reason": "%s"}' % (b"x" * 1_001), 422, "invalid_request"),
    (b'{"reason": 5}', 422, "invalid_request"),
    (b'{"reason": "\\ud800"}', 422, "invalid_request"),
    (b'{"reason": "\\u0000"}', 422, "invalid_request"),
    (b'{"colour": "green"}', 422, "invalid_request"),
    (b"[]", 422, "invalid_request"),
    (b"{", 400, "malformed_body"),
    (b"\xff", 400, "malformed_body"),
]


async def test_a_wrong_body_of_cancel_cancels_nothing(served, subtests):
    async with scripted_api(served) as api:
        task_id = await api.create()
        for body, status, code in WRONG_CANCELS:
            with subtests.test(str(body[:30])):
                url = f"/tasks/{task_id}/cancel"
                answer = await api.http.post(url, content=body, headers=JSON)

                check_problem(answer, status, code)

        assert (await api.task(task_id))["status"] == "pending"


# --- Ids and routes -----------------------------------------------------------------------------

WRONG_IDS = [
    ABSENT,
    "5",
    "not-a-uuid",
    "%00",
    "%ff",
    "..%2f..%2fetc%2fpasswd",
    "x" * 2_000,
    ABSENT + "0",
    "%7B" + ABSENT + "%7D",
    "';drop table tasks;--",
]
TASK_ROUTES = [
    ("GET", ""),
    ("GET", "/status"),
    ("GET", "/events"),
    ("POST", "/execute"),
    ("POST", "/cancel"),
    ("POST", "/retry"),
    ("DELETE", ""),
]


DOCUMENT_ROUTES = [("GET", ""), ("GET", "/text"), ("DELETE", "")]


@pytest.mark.parametrize(
    ("root", "routes", "code"),
    [
        ("/tasks", TASK_ROUTES, "task_not_found"),
        ("/documents", DOCUMENT_ROUTES, "document_not_found"),
    ],
)
async def test_an_unknown_or_malformed_id_is_not_found_on_any_route(
    served, subtests, root, routes, code
):
    async with scripted_api(served, library=None) as api:
        for wrong in WRONG_IDS:
            for method, rest in routes:
                with subtests.test(f"{method} {wrong[:40]}{rest}"):
                    answer = await api.http.request(method, f"{root}/{wrong}{rest}")

                    # With an encoded slash it may also be an unknown route.
                    check_problem(answer, 404, None if wrong.startswith("..") else code)


UNKNOWN = ("/frogs", "/tasks/", "/task", "/TASKS", "/tasks/x/y/z", "/%00", "/%ff", "/web/app")


async def test_an_unknown_route_is_a_problem_too(served, subtests):
    async with scripted_api(served) as api:
        for path in UNKNOWN:
            with subtests.test(path):
                check_problem(await api.http.get(path), 404, None)


ROUTES = {
    "/tasks": {"GET", "POST"},
    "/tasks/{id}": {"GET", "DELETE"},
    "/tasks/{id}/status": {"GET"},
    "/tasks/{id}/events": {"GET"},
    "/tasks/{id}/execute": {"POST"},
    "/tasks/{id}/cancel": {"POST"},
    "/tasks/{id}/retry": {"POST"},
    "/agents": {"GET"},
    "/documents": {"GET", "POST", "DELETE"},
    "/documents/{id}": {"GET", "DELETE"},
    "/documents/{id}/text": {"GET"},
    "/documents/search": {"GET", "DELETE"},  # DELETE as a document's id.
    "/livez": {"GET"},
    "/readyz": {"GET"},
    "/health": {"GET"},
    "/openapi.json": {"GET"},
}


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE"}


async def test_a_wrong_method_is_refused_and_says_which_are_right(served, subtests):
    async with scripted_api(served) as api:
        task_id = await api.create()
        for path, right in ROUTES.items():
            for method in METHODS - right:
                with subtests.test(f"{method} {path}"):
                    answer = await api.http.request(method, path.replace("{id}", task_id))

                    check_problem(answer, 405, None)
                    allowed = {one.strip() for one in answer.headers["allow"].split(",")}
                    assert allowed - {"HEAD", "OPTIONS"} == right


# --- Size ---------------------------------------------------------------------------------------


async def pieces(count: int) -> Any:
    for _ in range(count):
        yield b" " * 4_096


async def test_a_body_past_1_mib_is_too_large(served):
    async with scripted_api(served) as api:
        body = described("a") + b" " * (1 << 20)

        check_problem(await api.http.post("/tasks", content=body, headers=JSON), 413, "too_large")


async def test_a_body_of_unknown_length_is_measured_while_it_comes(served):
    server = {"max_body_bytes": 8_192, "max_document_bytes": 16_384}
    async with scripted_api(served, server=server) as api:
        chunked = await api.http.post("/tasks", content=pieces(3), headers=JSON)
        text = {"Content-Type": "text/plain"}
        document = await api.http.post("/documents", content=pieces(5), headers=text)

        check_problem(chunked, 413, "too_large")
        check_problem(document, 413, "too_large")
        assert (await api.http.get("/tasks")).status_code == 200


async def test_a_cancel_body_that_is_too_large_is_refused_as_well(served):
    async with scripted_api(served, server={"max_body_bytes": 8_192}) as api:
        task_id = await api.create()
        url = f"/tasks/{task_id}/cancel"

        check_problem(
            await api.http.post(url, content=b" " * 9_000, headers=JSON), 413, "too_large"
        )
        assert (await api.task(task_id))["status"] == "pending"


# --- Wrong states -------------------------------------------------------------------------------

LEGAL = {
    "pending": {"cancel", "DELETE"},
    "queued": {"cancel"},
    "executing": {"cancel"},
    "completed": {"DELETE"},
    "failed": {"retry", "DELETE"},
    "cancelled": {"cancel", "retry", "DELETE"},
}


async def bring(api: Api, status: str) -> str:
    """A task in this state. The first scripted write hangs, the second fails."""
    blocker = await api.create("blocks the only slot")
    await api.start(blocker)
    task_id = await api.create("the one")
    match status:
        case "queued":
            await api.start(task_id)
        case "executing":
            await api.cancel(blocker)
            await api.start(task_id)
        case "completed" | "failed":
            await api.cancel(blocker)
            await api.run(task_id)
        case "cancelled":
            await api.cancel(task_id)
    return task_id


@pytest.mark.parametrize("status", LEGAL)
@pytest.mark.parametrize("verb", ["cancel", "retry", "DELETE"])
async def test_a_verb_in_the_wrong_state_answers_409_and_changes_nothing(served, status, verb):
    from actors.errors import AgentFailed

    # Analyses hang at first, so that the blocker holds the only slot from its start.
    acts: Any = {"executing": [60, 60], "failed": [60, AgentFailed("no")]}.get(status, [60])
    settings = Settings(max_running_tasks=1, retry_delays_s=())
    async with scripted_api(served, Cast(plans=acts), settings=settings) as api:
        task_id = await bring(api, status)
        before = await api.task(task_id)
        if status == "executing" and before["status"] == "queued":
            async with api.events(task_id) as stream:
                await stream.until("task_started")
            before = await api.task(task_id)
        assert before["status"] == status

        method, path = ("DELETE", "") if verb == "DELETE" else ("POST", f"/{verb}")
        headers = {"Prefer": "respond-async"}
        answer = await api.http.request(method, f"/tasks/{task_id}{path}", headers=headers)

        if verb in LEGAL[status]:
            assert answer.status_code in {200, 202, 204}, answer.text
        else:
            check_problem(answer, 409, "illegal_state")
            after = await api.task(task_id)
            moving = {"last_seq", "updated_at", "steps"} if status == "executing" else set()
            assert {k: v for k, v in after.items() if k not in moving} == {
                k: v for k, v in before.items() if k not in moving
            }

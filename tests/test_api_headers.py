"""What the head of a request means, and what is refused before a body is read."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from api_client import check_problem, scripted_api
from http_raw import HOST, listening
from scripted import scripted_system
from test_api_documents import library_api

from actors.library.parsing.media_types import KINDS

TASK = {"task_description": "frogs"}
Lines = list[tuple[str, str]]


# --- lists and singles --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines",
    [
        ["respond-async"],
        ["wait=5", "respond-async"],
        ["respond-async; note=x, wait=5"],
        ["wait=5,RESPOND-ASYNC"],
        ['note="a, b"; c=d, respond-async'],
        ['respond-async=""'],
        ["respond-async ; x"],
    ],
)
async def test_a_preference_counts_on_any_line_at_any_place_and_with_parameters(served, lines):
    async with scripted_api(served) as api:
        path = f"/tasks/{await api.create()}/execute"

        answer = await api.http.post(path, headers=[("Prefer", line) for line in lines])

        assert answer.status_code == 202
        assert answer.headers["preference-applied"] == "respond-async"


@pytest.mark.parametrize(
    "line", ["wait=5", 'note="x, respond-async"', "x=respond-async", "a; respond-async"]
)
async def test_what_only_looks_like_a_preference_does_not_count(served, line):
    async with scripted_api(served) as api:
        path = f"/tasks/{await api.create()}/execute"

        answer = await api.http.post(path, headers={"Prefer": line})

        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["text/html", "text/event-stream"], "text/event-stream"),
        (["application/x-ndjson;q=0.1", "text/event-stream;q=0.9"], "text/event-stream"),
        (["text/event-stream;q=0.1", "application/x-ndjson"], "application/x-ndjson"),
        (["text/event-stream; charset=utf-8"], "text/event-stream"),
        (["*/*"], "application/x-ndjson"),
        (["text/*"], "text/event-stream"),
        (["text/event-stream;q=0"], "application/x-ndjson"),
    ],
)
async def test_what_is_accepted_may_stand_on_several_lines(served, lines, expected):
    async with scripted_api(served) as api:
        path = f"/tasks/{await api.create()}/events?follow=false"

        answer = await api.http.get(path, headers=[("Accept", line) for line in lines])

        assert answer.headers["content-type"].split(";")[0] == expected


@pytest.mark.parametrize("name", ["Idempotency-Key", "Last-Event-ID", "Content-Type"])
@pytest.mark.parametrize("values", [("1", "2"), ("1", "1"), ("", "1")])
async def test_a_header_with_one_value_is_refused_on_two_lines(served, name, values):
    async with scripted_api(served) as api:
        lines: Lines = [(name, value) for value in values]

        answer = await api.http.post("/tasks", content=json.dumps(TASK), headers=lines)

        assert check_problem(answer, 422, "invalid_request")["errors"][0]["loc"] == ["header", name]
        assert (await api.http.get("/tasks")).json()["tasks"] == []


# --- paths and hosts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["//tasks", "///tasks", "/%2ftasks", "/tasks%2F{id}", "/tasks/", "//tasks/{id}", "/./tasks"],
)
async def test_a_path_has_one_spelling_of_its_slashes(path):
    async with scripted_system() as system, listening(system) as server:
        task = await system.create("frogs")
        target = path.replace("{id}", task.task_id).encode()

        answer = await server.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")

        assert answer.status == 404
        assert json.loads(answer.body)["code"] == "not_found"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (b"http://localhost/livez", 200),
        (b"HTTP://LOCALHOST:80/livez", 200),
        (b"http://evil.example/livez", 403),
        (b"http://localhost@evil.example/livez", 403),
        (b"http:///livez", 400),
    ],
)
async def test_the_host_of_an_absolute_target_counts_and_not_the_header(target, status):
    async with scripted_system() as system, listening(system) as server:
        answer = await server.ask(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n")

        assert answer.status == status


# --- no content ---------------------------------------------------------------------------------


async def test_an_answer_without_content_has_no_headers_about_content(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        report = await api.http.get(f"/tasks/{task_id}/report")
        await api.run(task_id)
        ended = {"Accept": "text/event-stream"}
        last = (await api.task(task_id))["last_seq"]
        events = await api.http.get(f"/tasks/{task_id}/events?after={last}", headers=ended)
        deleted = await api.http.delete(f"/tasks/{task_id}")

        for answer in (report, events, deleted):
            assert answer.status_code == 204
            for name in ("content-length", "content-type", "transfer-encoding"):
                assert name not in answer.headers, (answer.request, name)


# --- refused before the body is read ------------------------------------------------------------

WAITING = b"Expect: 100-continue\r\nContent-Length: 30\r\n"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (b"/tasks", b"Content-Type: text/csv\r\n", 415),
        (b"/tasks", b"Content-Type: application/json\r\nContent-Encoding: gzip\r\n", 415),
        (b"/tasks", b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", 422),
        (b"/tasks?x=1", b"", 422),
        (b"/tasks", b"Origin: https://evil.example\r\n", 403),
        (b"/nothing", b"", 404),
        (b"/livez", b"", 405),
        (b"/documents", b"Content-Type: video/mp4\r\n", 415),
        (b"/documents", b"Content-Type: text/plain\r\nContent-Encoding: br\r\n", 415),
        (b"/documents?limit=1", b"Content-Type: text/plain\r\n", 422),
    ],
)
async def test_a_client_that_waits_to_send_its_body_is_refused_without_a_100(path, headers, status):
    async with scripted_system() as system, listening(system) as server:
        async with server.client() as client:
            head = b"POST " + path + b" HTTP/1.1\r\n" + HOST + headers + WAITING + b"\r\n"
            await client.send(head)

            assert (await client.answer()).status == status


async def test_a_client_that_waits_to_send_too_much_is_refused_without_a_100():
    async with scripted_system() as system, listening(system) as server:
        for path, size in ((b"/tasks", 2_000_000), (b"/documents", 40_000_000)):
            async with server.client() as client:
                length = b"Expect: 100-continue\r\nContent-Length: %d\r\n" % size
                await client.send(b"POST " + path + b" HTTP/1.1\r\n" + HOST + length + b"\r\n")

                assert (await client.answer()).status == 413


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "identity, gzip", "GZIP", "x"])
@pytest.mark.parametrize("path", ["/tasks", "/documents"])
async def test_an_encoded_body_is_refused_and_told_what_is_accepted(served, path, coding):
    async with scripted_api(served) as api:
        headers = {"Content-Encoding": coding}

        answer = await api.http.post(path, content=b'{"task_description": "x"}', headers=headers)

        check_problem(answer, 415, "unsupported_media_type")
        assert answer.headers["accept-encoding"] == "identity"
        assert "accept-post" not in answer.headers


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
async def test_a_body_that_is_encoded_as_itself_is_read(served, coding):
    async with scripted_api(served) as api:
        headers = {"Content-Encoding": coding, "Content-Type": "application/json"}

        answer = await api.http.post("/tasks", content=json.dumps(TASK), headers=headers)

        assert answer.status_code == 201


async def test_a_media_type_that_is_not_read_is_told_which_are(served):
    async with library_api(served) as api:
        headers = {"Content-Type": "video/mp4"}
        task = await api.http.post("/tasks", content=b"x", headers=headers)
        cancel = await api.http.post(f"/tasks/{uuid.uuid4()}/cancel", content=b"x", headers=headers)
        document = await api.http.post("/documents", content=b"x", headers=headers)
        sniffed = await api.http.post("/documents", content=b"\x89PNG\r\n")

        for answer, accepted in ((task, []), (cancel, []), (document, KINDS), (sniffed, KINDS)):
            check_problem(answer, 415, "unsupported_media_type")
            names = answer.headers["accept-post"].split(", ")
            assert {"application/json", *(kind.media_type for kind in accepted)} <= set(names)


# --- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"deadline_s": ' + b"1" * 5_000 + b"}", "more than 400 digits"),
        (b'{"deadline_s": -' + b"1" * 500_000 + b"}", "more than 400 digits"),
        (b'{"deadline_s": 1.' + b"1" * 5_000 + b"}", "more than 400 digits"),
        (b'{"deadline_s": 1e999}', "too large"),
        (b'{"deadline_s": NaN}', "NaN is not JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b'{"task_description": "\xff"}', "byte 22 is not UTF-8"),
        (b"{", "Expecting property name"),
        (b"", "Expecting value"),
    ],
    ids=lambda value: value[:24] if isinstance(value, bytes) else value,
)
@pytest.mark.parametrize("path", ["/tasks", "/documents"])
async def test_json_that_cannot_be_read_is_refused_in_plain_words(served, path, body, says):
    async with scripted_api(served) as api:
        headers = {"Content-Type": "application/json"}

        answer = await api.http.post(path, content=body, headers=headers)

        detail = check_problem(answer, 400, "malformed_body")["detail"]
        assert says in detail
        assert not any(word in detail for word in ("sys.", "codec", "int(", "Traceback"))


@pytest.mark.parametrize("number", ["9" * 400, "1e308", "-" + "9" * 300])
async def test_a_number_that_is_only_out_of_range_is_a_wrong_value(served, number):
    async with scripted_api(served) as api:
        body = f'{{"task_description": "x", "deadline_s": {number}}}'.encode()

        answer: Any = await api.http.post("/tasks", content=body)

        check_problem(answer, 422, "invalid_request")

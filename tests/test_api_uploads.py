"""How many bytes of bodies, and how many documents, the server holds at the same time."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from api_client import GUARD_S, Api, check_problem, wait_until
from http_raw import HOST, listening
from scripted import scripted_system

from actors.errors import Overloaded
from actors.library.documents import ParsedText
from actors.library.library import Library, open_library
from actors.library.parsing.frames import Job
from actors.library.parsing.places import BYTES_AT_ONCE, MOST_DOCUMENTS
from actors.settings import Settings
from actors.system import open_system
from web.api.body_memory import OTHER_BYTES

TEXT = {"Content-Type": "text/plain"}
SIZE = 100_000
ROOM = {"max_upload_bytes": 10 * SIZE}
"""Three documents: what is read from one of them counts seven times more."""


class GatedParser:
    """Parses nothing before `gate` is set; `jobs` are those that have begun."""

    def __init__(self) -> None:
        self.gate = trio.Event()
        self.jobs: list[Job] = []

    async def parse(self, job: Job) -> ParsedText:
        self.jobs.append(job)
        await self.gate.wait()
        return ParsedText("Frogs", "Frogs sing.", (), ())


@asynccontextmanager
async def gated_library() -> AsyncIterator[tuple[Library, GatedParser]]:
    parser = GatedParser()
    now = datetime(2026, 1, 31, tzinfo=UTC)
    with trio.fail_after(GUARD_S):
        async with open_library(None, now=lambda: now, parser=parser) as library:
            yield library, parser


@asynccontextmanager
async def gated_api(served: Any, **server: Any) -> AsyncIterator[tuple[Api, GatedParser]]:
    async with gated_library() as (library, parser):
        async with open_system(Settings(data_dir=None), library=library) as system:
            async with served(system, **server) as http:
                yield Api(http), parser


def document(number: int, size: int = SIZE) -> bytes:
    return b"%d frogs. " % number + b"x" * (size - 9)


async def gauges(api: Api) -> dict[str, int]:
    answer = (await api.http.get("/health")).json()["gauges"]
    assert isinstance(answer, dict)
    return answer


async def upload(api: Api, number: int, answers: list[int], size: int = SIZE) -> None:
    answer = await api.http.post("/documents", content=document(number, size), headers=TEXT)
    answers.append(answer.status_code)


async def test_documents_are_held_up_to_a_bound_and_the_next_is_refused(served):
    async with gated_api(served, **ROOM) as (api, parser), trio.open_nursery() as nursery:
        answers: list[int] = []
        for number in range(3):
            nursery.start_soon(upload, api, number, answers)
        while (await gauges(api))["upload_bytes"] < 3 * SIZE:
            await trio.sleep(0.01)

        refused = await api.http.post("/documents", content=document(3), headers=TEXT)

        check_problem(refused, 503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await api.http.post("/tasks", json={"task_description": "x"})).status_code == 201
        parser.gate.set()
        await wait_until(lambda: len(answers) == 3)
        assert answers == [201] * 3
        assert (await gauges(api))["upload_bytes"] == 0
        await upload(api, 3, answers)
        assert answers[-1] == 201


async def test_a_larger_document_counts_with_all_that_will_be_read_from_it(served):
    async with gated_api(served, **ROOM) as (api, parser), trio.open_nursery() as nursery:
        answers: list[int] = []
        nursery.start_soon(upload, api, 0, answers, 1_000)
        await wait_until(lambda: len(parser.jobs) == 1)

        await upload(api, 1, answers, 124_876)
        assert answers == [503]
        nursery.start_soon(upload, api, 1, answers, 124_875)
        await wait_until(lambda: len(parser.jobs) == 2)
        parser.gate.set()
        await wait_until(lambda: len(answers) == 3)
        assert answers == [503, 201, 201]


async def test_a_single_document_always_has_room(served):
    async with gated_api(served, max_upload_bytes=4_096) as (api, parser):
        parser.gate.set()
        answers: list[int] = []

        await upload(api, 0, answers)

        assert answers == [201]


@pytest.mark.parametrize("length", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
async def test_a_refused_document_is_not_read_and_a_waiting_client_gets_no_100(length):
    async with gated_library() as (library, _):
        async with open_system(Settings(data_dir=None), library=library) as system:
            async with listening(system, **ROOM) as server, trio.open_nursery() as nursery:
                head = b"POST /documents HTTP/1.1\r\nContent-Type: text/plain\r\n" + HOST

                async def hold(number: int) -> None:
                    async with server.client() as client:
                        size = b"Content-Length: %d\r\n\r\n" % SIZE
                        await client.send(head + size + document(number)[:-1])
                        await trio.sleep_forever()

                for number in range(3):
                    nursery.start_soon(hold, number)
                while (
                    b'"upload_bytes":300000'
                    not in (await server.ask(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")).body
                ):
                    await trio.sleep(0.01)
                async with server.client() as client:
                    await client.send(head + length + b"\r\nExpect: 100-continue\r\n\r\n")
                    if b"chunked" in length:  # Nobody can tell how much will come.
                        assert b"100" in (await client._until(b"\r\n\r\n") or b"")
                        await client.send(b"186a0\r\n" + b"x" * 100_000 + b"\r\n")

                    assert (await client.answer()).status == 503
                nursery.cancel_scope.cancel()


async def test_other_bodies_are_held_up_to_a_bound_of_their_own():
    size = 1024 * 1024
    async with scripted_system() as system, listening(system) as server:
        head = b"POST /tasks HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size
        async with trio.open_nursery() as nursery:

            async def hold(leaves: trio.CancelScope) -> None:
                with leaves:
                    async with server.client() as client:
                        await client.send(head + b" " * 1_000)
                        await trio.sleep_forever()

            async def held(count: int) -> None:
                get = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
                while json.loads((await server.ask(get)).body)["gauges"]["body_bytes"] != count:
                    await trio.sleep(0.01)

            task = b"POST /tasks HTTP/1.1\r\n" + HOST + b"Content-Length: 29\r\n\r\n"
            task += b'{"task_description": "frogs"}'
            one = trio.CancelScope()
            for number in range(OTHER_BYTES // size):
                nursery.start_soon(hold, trio.CancelScope() if number else one)
            await held(OTHER_BYTES)

            assert (await server.ask(task)).status == 503

            one.cancel()
            await held(OTHER_BYTES - size)
            assert (await server.ask(task)).status == 201
            nursery.cancel_scope.cancel()


# --- parsing ------------------------------------------------------------------------------------


async def test_a_bounded_number_of_documents_waits_to_be_parsed():
    async with gated_library() as (library, parser), trio.open_nursery() as nursery:

        async def add(number: int) -> None:
            await library.add(document(number, 100))

        for number in range(MOST_DOCUMENTS):
            nursery.start_soon(add, number)
        await wait_until(
            lambda: library.gauges() == {"parsing": 2, "parse_waiting": MOST_DOCUMENTS - 2}
        )

        with pytest.raises(Overloaded):
            await add(1_000)

        parser.gate.set()
        await wait_until(lambda: len(parser.jobs) == MOST_DOCUMENTS)
    assert library.gauges() == {"parsing": 0, "parse_waiting": 0}


async def test_large_documents_are_parsed_and_stored_one_at_a_time():
    async with gated_library() as (library, parser), trio.open_nursery() as nursery:
        half = BYTES_AT_ONCE // 2
        nursery.start_soon(library.add, document(1, half))
        await wait_until(lambda: library.gauges() == {"parsing": 1, "parse_waiting": 0})
        nursery.start_soon(library.add, document(2, half + 1))
        await wait_until(lambda: library.gauges() == {"parsing": 1, "parse_waiting": 1})
        parser.gate.set()
        await wait_until(lambda: library.gauges() == {"parsing": 0, "parse_waiting": 0})

    async with gated_library() as (library, parser), trio.open_nursery() as nursery:
        for number in range(2):
            nursery.start_soon(library.add, document(number, half))
        await wait_until(lambda: library.gauges() == {"parsing": 2, "parse_waiting": 0})
        parser.gate.set()


async def test_a_document_that_is_given_up_leaves_its_place_to_the_next():
    async with gated_library() as (library, parser), trio.open_nursery() as nursery:
        async with trio.open_nursery() as given_up:
            for number in range(4):
                given_up.start_soon(library.add, document(number, 100))
            await wait_until(lambda: library.gauges() == {"parsing": 2, "parse_waiting": 2})
            given_up.cancel_scope.cancel()

        assert library.gauges() == {"parsing": 0, "parse_waiting": 0}
        nursery.start_soon(library.add, document(9, 100))
        await wait_until(lambda: len(parser.jobs) == 3)
        parser.gate.set()

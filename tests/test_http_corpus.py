"""No malformed input ends the process, hangs it, or gets a 500."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from http_corpus import CLOSE, CORPUS
from http_raw import GOOD, HOST, Client, Listening, listening
from scripted import scripted_system

TASK = (
    b"POST /tasks HTTP/1.1\r\n"
    + HOST
    + b"Content-Type: application/json\r\nContent-Length: 29\r\n\r\n"
    + b'{"task_description": "frogs"}'
)


@asynccontextmanager
async def serving() -> AsyncIterator[Listening]:
    """The real app, over scripted agents."""
    async with scripted_system() as system:
        async with listening(system, request_head_s=0.3, request_body_s=0.3) as server:
            yield server


@pytest.mark.parametrize("name", CORPUS)
async def test_a_nasty_request_is_answered_and_the_next_client_is_served(name):
    request, expected = CORPUS[name]
    async with serving() as server:
        answer = await server.ask(request)

        assert (answer.status if answer else CLOSE) in expected, answer
        if answer is not None and answer.status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        good = await server.ask(GOOD)
        assert good is not None and good.status == 200


async def test_garbage_behind_a_good_request_does_not_spoil_its_answer():
    async with serving() as server, server.client() as client:
        await client.send(GOOD + b"\0\xff garbage\r\n\r\n")

        assert (await client.answer()).status == 200
        assert (await client.answer()).status == 400
        assert await client.closed()


async def test_pipelined_requests_are_answered_in_their_order():
    async with serving() as server, server.client() as client:
        lost = b"GET /nothing/%d HTTP/1.1\r\n" + HOST + b"\r\n"
        await client.send(b"".join(TASK + GOOD + lost % n for n in range(20)))
        for n in range(20):
            created, good, missing = [await client.answer() for _ in range(3)]

            assert (created.status, good.status, missing.status) == (201, 200, 404)
            assert b'"instance": "/nothing/%d"' % n in missing.body


async def test_expect_100_continue_is_told_to_go_on():
    head, body = TASK.split(b"\r\n\r\n")
    async with serving() as server, server.client() as client:
        await client.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.answer()).status == 100
        await client.send(body)
        assert (await client.answer()).status == 201


async def test_a_request_cut_off_at_any_byte_harms_nobody():
    async with serving() as server:
        for length in range(len(TASK)):
            async with server.client() as client:
                await client.send(TASK[:length])
            if length % 20 == 0:
                assert (await server.ask(GOOD)).status == 200
        await server.connections(0)


async def test_a_request_cut_off_and_half_closed_at_any_byte_is_answered_or_closed():
    async with serving() as server:
        for length in range(0, len(TASK), 3):
            async with server.client() as client:
                await client.send(TASK[:length])
                await client.stream.send_eof()
                answer = await client.answer()

                assert answer is None if length == 0 else answer.status == 400
                assert await client.closed()


async def test_a_request_that_comes_byte_by_byte_is_one_request():
    async with serving() as server, server.client() as client:
        for byte in TASK:
            await client.send(bytes([byte]))
        assert (await client.answer()).status == 201


async def test_a_client_that_half_closes_after_its_request_gets_the_answer():
    async with serving() as server, server.client() as client:
        await client.send(TASK)
        await client.stream.send_eof()

        assert (await client.answer()).status == 201
        assert await client.closed()


async def test_a_body_that_is_refused_unread_is_refused_in_words():
    """The refusal must reach a client that is still busy sending."""
    async with serving() as server:
        head = b"POST /tasks HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
        body = b"Content-Length: 3000000\r\n\r\n" + b"x" * 3_000_000
        async with server.client() as client, trio.open_nursery() as nursery:

            async def push(client: Client) -> None:
                with suppress(trio.BrokenResourceError):
                    await client.send(head + body)

            nursery.start_soon(push, client)
            answer = await client.answer()

            assert answer is not None and answer.status == 413
            nursery.cancel_scope.cancel()

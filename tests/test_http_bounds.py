"""Bounds of the HTTP server that a client can only reach by misbehaving."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import trio
import trio.testing
from http_raw import GOOD, HOST, Listening, listening, plain

from web.http.server import REFUSALS


async def test_a_body_that_drips_is_given_up_with_408():
    async with listening(plain(), request_body_s=0.2) as server:
        async with server.client() as client, trio.open_nursery() as nursery:

            async def drip() -> None:
                head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
                await client.send(head)
                while True:
                    await client.send(b"x")
                    await trio.sleep(0.02)

            nursery.start_soon(drip)
            with trio.fail_after(3):
                answer = await client.answer()
            nursery.cancel_scope.cancel()

        assert answer is not None and answer.status == 408


async def test_a_client_that_pipelines_is_read_only_so_far_ahead():
    most = 4 * 1024 * 1024  # Far more than the kernel's own buffers hold on the way.

    async def never(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await trio.sleep_forever()

    async with listening(never) as server:
        async with server.client() as client:
            sent = 0
            client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
            with trio.move_on_after(2) as held:
                while sent < most:
                    sent += await client.stream.socket.send(GOOD * 2_000)

    assert held.cancelled_caught


def request_of(size: int, end: bytes = b"\r\n\r\n") -> bytes:
    """A good request whose head has `size` bytes."""
    head = b"GET /livez HTTP/1.1\r\n" + HOST + b"X-Long: "
    return head + b"x" * (size - len(head) - len(end)) + end


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n"])
@pytest.mark.parametrize(("size", "status"), [(32_768, 200), (32_769, 431), (60_000, 431)])
@pytest.mark.parametrize("pieces", [1, 3])
async def test_a_head_may_have_32_kib_however_it_comes(size, status, pieces, end):
    async with listening(plain()) as server, server.client() as client:
        request = request_of(size, end)
        length = len(request) // pieces + 1
        for at in range(0, len(request), length):
            await client.send(request[at : at + length])
            await trio.testing.wait_all_tasks_blocked()

        assert (await client.answer()).status == status


@pytest.mark.parametrize(("size", "status"), [(32_768, 200), (32_769, 431)])
async def test_the_head_of_a_pipelined_request_may_have_32_kib_too(size, status):
    async with listening(plain()) as server, server.client() as client:
        await client.send(GOOD + request_of(size))

        assert (await client.answer()).status == 200
        assert (await client.answer()).status == status


async def test_a_client_that_is_still_sending_its_refused_body_reads_the_refusal_at_its_end():
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"full"})

    async with listening(refuse) as server, server.client() as client:
        await client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 500000\r\n\r\n")
        for _ in range(5):
            await trio.sleep(0.35)
            await client.send(b"x" * 100_000)

        answer = await client.answer()

    assert (answer.status, answer.body) == (503, b"full")


@pytest.mark.parametrize(("fields", "status"), [(100, 200), (101, 431)])
async def test_a_head_may_have_100_fields(fields, status):
    async with listening(plain()) as server:
        more = b"".join(b"X-%d: y\r\n" % number for number in range(fields - 1))

        answer = await server.ask(b"GET / HTTP/1.1\r\n" + HOST + more + b"\r\n")

    assert answer.status == status


async def test_a_full_server_answers_a_bounded_number_of_clients_at_a_time():
    async with listening(plain(), max_connections=1) as server, server.client() as busy:
        await busy.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n")
        await server.connections(1)
        while server.table.gauges()["idle_connections"]:
            await trio.sleep(0.01)
        answers = []

        async def refused() -> None:
            async with server.client() as client:
                answers.append(await client._until(b" "))
                if answers[-1] is not None:
                    await trio.sleep_forever()  # It would be given time to close.

        async with trio.open_nursery() as nursery:
            for _ in range(REFUSALS + 6):
                nursery.start_soon(refused)
            while len(answers) < REFUSALS + 6:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()

    assert answers.count(None) == 6


class Peak(trio.abc.Instrument):
    """The most connections that the server holds at any time."""

    def __init__(self, server: Listening) -> None:
        self.connections = 0
        self._server = server

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        self.connections = max(self.connections, len(self._server.table.open))


async def test_while_room_is_made_there_are_no_more_connections_than_the_limit():
    async with listening(plain(), max_connections=4) as server:
        peak = Peak(server)
        trio.lowlevel.add_instrument(peak)
        clients = [socket.create_connection((server.host, server.port)) for _ in range(16)]
        with trio.fail_after(5):
            while server.table.ended["made room"] < 12:
                await trio.sleep(0.01)
        trio.lowlevel.remove_instrument(peak)
        for client in clients:
            client.close()

    assert peak.connections == 4

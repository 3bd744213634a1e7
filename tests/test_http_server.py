"""The server around its connections: how many there are, what an app may do wrong, and the figures."""

from __future__ import annotations

import gc
import logging
import socket
import weakref
from collections import Counter

import h11
import pytest
import trio
import trio.testing
from http_raw import GOOD, HOST, Endless, echo, listening, plain

from actors.runtime.fairness import ACCEPTS_PER_TICK, CLOSES_PER_TICK, REQUESTS_PER_TICK
from web.http.connection_table import (
    ConnectionTable,
)
from web.http.request_cycle import STREAM, ErrorResponse, RequestCycle
from web.http.server import raise_file_limit
from web.http.write_buffer import ClientLost, WriteBuffer


def nothing() -> None: ...


def no_error(*_: str) -> ErrorResponse:
    raise AssertionError("nothing goes wrong here")


class Body:
    """A stream that knows whether it was left."""

    left = False
    ready = False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *why):
        self.left = True

    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration


async def test_past_the_most_connections_the_longest_idle_one_makes_room():
    async with listening(plain(), max_connections=2) as server:
        async with server.client() as oldest, server.client() as younger:
            for client in (oldest, younger):
                await client.send(GOOD)
                await client.answer()

            assert (await server.ask(GOOD)).status == 200
            assert await oldest.closed()
            await younger.send(GOOD)
            assert (await younger.answer()).status == 200


async def test_where_every_connection_is_busy_a_new_client_gets_503():
    app = Endless()
    async with listening(app, max_connections=1) as server:
        async with server.client() as busy:
            await busy.send(GOOD)
            await busy.head()
            async with server.client() as client:
                await client.send(GOOD)
                answer = await client.answer()

                assert answer.status == 503 and answer.headers["retry-after"] == "1"
                assert answer.headers["content-type"] == "application/problem+json"
                assert await client.closed()
        assert server.table.ended["refused"] == 1


async def test_a_connection_in_the_middle_of_a_head_does_not_count_as_idle():
    async with listening(plain(), max_connections=1) as server:
        async with server.client() as slow:
            await slow.send(GOOD[:10])
            while server.table.gauges()["idle_connections"]:
                await trio.sleep(0.002)

            assert (await server.ask(GOOD)).status == 503
            await slow.send(GOOD[10:])
            assert (await slow.answer()).status == 200


async def test_figures_return_to_nothing():
    async with listening(Endless(b"x" * 2**24, flood=True)) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
            while not server.table.gauges()["buffered_bytes"]:
                await trio.sleep(0.002)
            assert server.table.gauges()["connections"] == 1
        await server.connections(0)

        assert set(server.table.gauges().values()) == {0}


async def test_hundreds_of_idle_connections_are_kept_and_answered():
    async with listening(plain()) as server:
        async with trio.open_nursery() as nursery:

            async def come_and_stay(task_status: trio.TaskStatus[object]) -> None:
                async with server.client() as client:
                    await client.send(GOOD)
                    assert (await client.answer()).status == 200
                    task_status.started(client)
                    await trio.sleep_forever()

            clients = [await nursery.start(come_and_stay) for _ in range(300)]
            assert server.table.gauges()["idle_connections"] == 300
            for client in clients[::50]:
                await client.send(GOOD)
                assert (await client.answer()).status == 200
            nursery.cancel_scope.cancel()


# --- what an app may do wrong -------------------------------------------------------------------


async def _fails(scope, receive, send):
    raise ValueError("a bug")


async def _is_silent(scope, receive, send):
    """Returns without an answer, as one that was cancelled from within does."""
    assert scope["type"] == "http"
    with trio.CancelScope() as scope_of_its_own:
        scope_of_its_own.cancel()
        await trio.sleep_forever()


async def _fails_late(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ValueError("a bug")


async def _stops_halfway(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})


async def _breaks_its_promise(scope, receive, send):
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"more than two"})


async def _sends_nonsense(scope, receive, send):
    await send({"type": "http.response.frog"})


async def _splits_headers(scope, receive, send):
    headers = [(b"x-odd", b"a\r\nSet-Cookie: b")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


@pytest.mark.parametrize("app", [_fails, _is_silent, _sends_nonsense])
async def test_an_app_that_gives_no_answer_gets_500_as_a_problem(app, caplog):
    async with listening(app) as server, server.client() as client:
        await client.send(GOOD)
        answer = await client.answer()

        assert answer.status == 500 and b"internal_error" in answer.body
        assert b"ValueError" not in answer.body
        assert await client.closed()


@pytest.mark.parametrize("app", [_fails_late, _stops_halfway])
async def test_an_answer_that_breaks_off_is_cut_so_that_it_shows(app, caplog):
    async with listening(app) as server, server.client() as client:
        await client.send(GOOD)
        answer = await client.answer()

        assert answer.body == b"half" and not answer.whole
        assert await client.closed()


@pytest.mark.parametrize("app", [_breaks_its_promise, _splits_headers])
async def test_an_app_that_breaks_http_costs_its_connection_only(app, caplog):
    caplog.set_level(logging.CRITICAL)
    async with listening(app) as server:
        async with server.client() as client:
            await client.send(GOOD)
            answer = await client.answer()
            assert answer is None or not answer.whole
        await server.connections(0)


async def test_head_is_answered_without_a_body_and_the_connection_goes_on():
    async with listening(plain()) as server, server.client() as client:
        await client.send(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n" + GOOD)
        head = await client.answer("HEAD")

        assert head.status == 200 and head.headers["content-length"] == "5"
        assert (await client.answer()).body == b"hello"


async def test_a_body_in_many_chunks_arrives_whole():
    parts = [b"x" * size for size in (1, 10, 70_000, 200_000)]
    chunks = b"".join(b"%x\r\n" % len(part) + part + b"\r\n" for part in parts)
    head = b"POST /up HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
    async with listening(echo()) as server:
        answer = await server.ask(head + chunks + b"0\r\n\r\n")

        assert answer.body == b"POST /up " + b"".join(parts)


async def test_an_app_that_does_not_read_holds_back_who_sends():
    """What waits for such an app is bounded, and the connection does not hang when it ends."""
    go_on = trio.Event()

    async def lazy(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await go_on.wait()
        await plain()(scope, receive, send)

    head = b"POST /up HTTP/1.1\r\n" + HOST + b"Content-Length: 50000000\r\n\r\n"
    async with listening(lazy, request_body_s=60) as server, server.client() as client:
        client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        with trio.move_on_after(0.5) as blocked:
            await client.send(head + b"x" * 50_000_000)

        assert blocked.cancelled_caught
        go_on.set()


def test_the_limit_of_open_files_is_raised_and_respected():
    assert raise_file_limit(100) >= 100
    assert raise_file_limit(10**9) < 10**9


async def test_requests_that_come_at_once_begin_a_few_in_each_tick():
    ticks, begun = Ticks(), Counter[int]()

    async def app(scope, receive, send):
        if scope["type"] == "http":
            begun[ticks.number] += 1
        await plain()(scope, receive, send)

    trio.lowlevel.add_instrument(ticks)
    async with listening(app) as server, trio.open_nursery() as nursery:
        for _ in range(60):
            nursery.start_soon(server.ask, GOOD)
    trio.lowlevel.remove_instrument(ticks)

    assert begun.total() == 60
    assert max(begun.values()) <= REQUESTS_PER_TICK


async def test_clients_that_leave_at_once_are_closed_a_few_in_each_tick():
    ticks, left = Ticks(), Counter[int]()

    class Pausing(Body):
        async def __aexit__(self, *why):
            left[ticks.number] += 1

        async def __anext__(self):
            await trio.sleep_forever()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        scope["extensions"][STREAM](Pausing())

    async with listening(app) as server:
        address = (server.host, server.port)
        clients = [socket.create_connection(address) for _ in range(60)]
        for client in clients:
            client.sendall(GOOD)
        for client in clients:
            await trio.to_thread.run_sync(client.recv, 1)
        trio.lowlevel.add_instrument(ticks)
        for client in clients:
            client.close()
        await server.connections(0)
        trio.lowlevel.remove_instrument(ticks)

        assert left.total() == 60
        assert max(left.values()) <= CLOSES_PER_TICK


async def test_a_connection_that_was_lost_in_the_middle_leaves_no_cycle():
    app = Endless()
    async with listening(app) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
            connection = weakref.ref(next(iter(server.table.open)))
            gc.disable()
        try:
            await server.connections(0)
            await trio.testing.wait_all_tasks_blocked()
            assert connection() is None
        finally:
            gc.enable()


async def test_a_stream_whose_client_is_lost_before_the_head_is_out_is_left():
    ours, theirs = trio.socket.socketpair()
    theirs.close()
    http = h11.Connection(h11.SERVER)
    http.receive_data(GOOD)
    http.next_event()
    buffer = WriteBuffer(ours, ConnectionTable(), nothing)
    cycle = RequestCycle(http, buffer, no_error, nothing)
    body = Body()
    cycle.stream(body)
    await cycle.send({"type": "http.response.start", "status": 200, "headers": []})
    with ours, pytest.raises(ClientLost):
        await cycle.send_stream()

    assert body.left


class Ticks(trio.abc.Instrument):
    """The ticks of the event loop so far."""

    number = 0

    def after_io_wait(self, timeout: float) -> None:
        self.number += 1


async def test_clients_that_come_at_once_are_accepted_together():
    """Otherwise, under load, each waits for as many ticks as there are clients before it."""
    ticks, accepted = Ticks(), Counter[int]()
    async with listening(plain()) as server:
        entered = server.table.add

        def enter(connection):
            accepted[ticks.number] += 1
            entered(connection)

        server.table.add = enter  # type: ignore[method-assign]
        trio.lowlevel.add_instrument(ticks)
        address = (server.host, server.port)
        clients = [socket.create_connection(address) for _ in range(40)]
        await server.connections(40)
        trio.lowlevel.remove_instrument(ticks)
        for client in clients:
            client.close()

    assert len(accepted) <= 40 / ACCEPTS_PER_TICK + 2

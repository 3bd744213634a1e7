"""What is wrong with Hypercorn's and quart-trio's own server, one by one, does not happen here.

To see what the stock server does with them: `TERZETTO_STOCK=1 pytest tests/test_http_faults.py`.
"""

from __future__ import annotations

import trio
import trio.testing
from http_raw import GOOD, HOST, Endless, echo, listening, plain
from scripted import scripted_system

H2C = (
    b"GET / HTTP/1.1\r\n" + HOST + b"Connection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: !!!not*base64\r\n\r\n"
)


async def test_an_upgrade_to_h2c_is_ignored_and_harms_nobody():
    async with listening(plain()) as server:
        async with server.client() as client, server.client() as neighbour:
            await client.send(H2C)
            answer = await client.answer()
            await neighbour.send(GOOD)

            assert answer is not None and answer.status == 200 and answer.body == b"hello"
            assert (await neighbour.answer()).status == 200


async def test_a_request_with_two_framings_is_refused_and_the_connection_closed():
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
    request = (
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n" % len(smuggled)
    ) + b"Transfer-Encoding: chunked\r\n\r\n"
    async with listening(echo()) as server:
        async with server.client() as client:
            await client.send(request + smuggled)
            answer = await client.answer()

            assert answer is not None and answer.status == 400
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["connection"] == "close"
            assert await client.closed()


async def test_an_idle_connection_expires():
    async with listening(plain(), keep_alive_s=1.0) as server:
        async with server.client() as client:
            await client.send(GOOD)
            assert (await client.answer()).status == 200

            assert await client.closed()

        assert server.table.ended["idle"] == 1


async def test_a_connection_that_never_asks_anything_expires():
    async with listening(plain(), keep_alive_s=0.1) as server:
        async with server.client() as client:
            assert await client.closed()


async def test_a_connection_that_asks_in_time_is_kept():
    async with listening(plain(), keep_alive_s=1.0) as server:
        async with server.client() as client:
            for _ in range(6):
                await client.send(GOOD)
                assert (await client.answer()).status == 200
                await trio.sleep(0.1)


async def test_connection_close_closes_after_the_answer():
    async with listening(plain()) as server:
        async with server.client() as client:
            await client.send(b"GET / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
            answer = await client.answer()

            assert answer is not None and answer.body == b"hello"
            assert answer.headers["connection"] == "close"
            assert await client.closed()


async def test_http_1_0_is_answered_without_chunks_and_closed():
    async with listening(echo()) as server:
        async with server.client() as client:
            await client.send(b"GET /old HTTP/1.0\r\n\r\n")
            answer = await client.answer()

            assert answer is not None and answer.body == b"GET /old "
            assert "transfer-encoding" not in answer.headers


async def test_through_quart_too_connections_are_recycled_closed_and_expire():
    """quart-trio's own class cancels the server's bookkeeping after each response."""
    async with scripted_system() as system, listening(system, keep_alive_s=1.0) as server:
        async with server.client() as client:
            for _ in range(3):
                await client.send(GOOD)
                assert (await client.answer()).status == 200
            assert server.table.gauges()["idle_connections"] == 1
            assert await client.closed()
        for last in (
            b"GET /livez HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
            b"GET /livez HTTP/1.0\r\n\r\n",
        ):
            async with server.client() as client:
                await client.send(last)
                assert (await client.answer()).status == 200
                assert await client.closed()


async def test_a_slow_head_is_given_up_with_408():
    async with listening(plain(), request_head_s=0.1) as server:
        async with server.client() as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: loc")
            answer = await client.answer()

            assert answer is not None and answer.status == 408
            assert await client.closed()


async def test_a_head_that_drips_is_given_up_too():
    async with listening(plain(), request_head_s=0.2) as server:
        async with server.client() as client, trio.open_nursery() as nursery:

            async def drip() -> None:
                for byte in b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 1_000:
                    await client.send(bytes([byte]))
                    await trio.sleep(0.02)

            nursery.start_soon(drip)
            answer = await client.answer()
            nursery.cancel_scope.cancel()

        assert answer is not None and answer.status == 408


async def test_a_body_that_stalls_is_given_up_with_408():
    async with listening(plain(), request_body_s=0.1) as server:
        async with server.client() as client:
            await client.send(b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nabc")
            answer = await client.answer()

            assert answer is not None and answer.status == 408
            assert await client.closed()


async def test_a_client_that_reads_nothing_is_dropped_and_its_app_cancelled():
    app = Endless(b"x" * 65_536, flood=True)
    async with listening(app, write_timeout_s=0.2) as server:
        async with server.client() as client:
            await client.send(GOOD)
            with trio.fail_after(5):
                await app.cancelled.wait()
            await server.connections(0)

            assert server.table.ended["stalled"] == 1
            assert server.table.buffered_bytes == 0


async def test_a_client_that_reads_slowly_is_not_dropped():
    app = Endless(b"x" * 65_536, flood=True)
    async with listening(app, write_timeout_s=0.3) as server:
        async with server.client() as client:
            await client.send(GOOD)
            for _ in range(12):
                await trio.sleep(0.1)
                await client.stream.receive_some(2**20)

            assert not app.cancelled.is_set()
            assert server.table.ended["stalled"] == 0


async def test_a_stalled_client_does_not_delay_the_shutdown():
    app = Endless(b"x" * 2**24, flood=True)  # More than any kernel takes.
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[object]) -> None:
            async with listening(app) as server:
                task_status.started(server)
                await server.closing.wait()

        server = await nursery.start(run)
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
            while not server.table.buffered_bytes:
                await trio.sleep(0.002)
            began = trio.current_time()
            server.closing.set()
            while server.table.open:
                await trio.sleep(0.002)

            assert trio.current_time() - began < 2.5
            assert app.cancelled.is_set()


async def test_an_idle_client_does_not_delay_the_shutdown():
    async with listening(plain()) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.answer()
            began = trio.current_time()
            server.closing.set()

            assert await client.closed()
            assert trio.current_time() - began < 0.5


async def test_a_response_under_way_reaches_its_client_at_the_shutdown():
    begun, go_on = trio.Event(), trio.Event()

    async def slow(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"all of it"})

    async with listening(slow) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await begun.wait()
            server.closing.set()
            await trio.testing.wait_all_tasks_blocked()
            go_on.set()
            answer = await client.answer()

            assert answer is not None and answer.whole and answer.body == b"all of it"
            assert await client.closed()


async def test_a_request_that_is_worked_on_is_answered_at_the_shutdown():
    asked = trio.Event()

    async def slow(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        asked.set()
        await trio.sleep(1.5)  # Longer than a response under way would get.
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"stored"})

    async with listening(slow) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await asked.wait()
            server.closing.set()
            answer = await client.answer()

            assert answer is not None and answer.whole and answer.body == b"stored"
            assert await client.closed()


async def test_a_body_that_does_not_come_does_not_delay_the_shutdown():
    asked = trio.Event()

    async def patient(scope, receive, send):
        if scope["type"] != "http":
            raise RuntimeError("no lifespan")
        asked.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async with listening(patient) as server:
        async with server.client() as client:
            await client.send(
                b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nfour"
            )
            await asked.wait()
            began = trio.current_time()
            server.closing.set()
            while server.table.open:
                await trio.sleep(0.002)

            assert trio.current_time() - began < 2.5


async def test_after_the_shutdown_began_no_new_client_is_accepted():
    async with listening(plain()) as server:
        assert (await server.ask(GOOD)) is not None
        server.closing.set()
        await trio.testing.wait_all_tasks_blocked()
        try:
            answer = await server.ask(GOOD)
        except OSError:
            return
        assert answer is None


async def test_a_client_that_leaves_an_idle_stream_is_noticed_at_once():
    app = Endless()
    async with listening(app, write_timeout_s=3_600, keep_alive_s=3_600) as server:
        async with server.client() as client:
            await client.send(GOOD)
            await client.head()
            assert await client.chunk() == b"tick\n"
        with trio.fail_after(1):
            await app.cancelled.wait()


async def test_a_client_that_leaves_is_noticed_although_it_has_pipelined_a_request():
    app = Endless()
    async with listening(app) as server:
        async with server.client() as client:
            await client.send(GOOD + b"GET /next HT")
            await client.head()
            await client.chunk()
            await client.stream.send_all(b"TP/1.1\r\n")
            client.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0" * 2)
        with trio.fail_after(1):
            await app.cancelled.wait()


async def test_an_app_that_receives_gets_http_disconnect_when_its_client_may_have_left():
    told = trio.Event()

    async def listens(scope, receive, send):
        assert not (await receive())["more_body"]
        assert (await receive())["type"] == "http.disconnect"
        told.set()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async with listening(listens) as server, server.client() as client:
        await client.send(GOOD)
        await client.stream.send_eof()
        with trio.fail_after(5):
            await told.wait()

        assert (await client.answer()).status == 204

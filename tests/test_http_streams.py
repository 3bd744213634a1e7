"""Streams of the real app to readers who are slow, leave, or stop reading."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from http_raw import HOST, Client, Listening, listening
from scripted import Cast, scripted_system

from actors.errors import AgentFailed
from actors.settings import Settings
from web.api.streams import KEPT_BYTES, READ_AHEAD_BYTES, LogChunks, ReadAhead

PART = "Frogs sing at night. " * 500
ATTEMPTS = 16


@asynccontextmanager
async def long_log(**server: Any):
    """A finished task with a log of some 3 MB: the system, a server, the stream's target, the log."""
    cast = Cast(parts=[PART] * 20, act_after=20, writes=[AgentFailed("no")] * (ATTEMPTS - 1))
    settings = Settings(retry_delays_s=(0.0,) * ATTEMPTS)
    async with scripted_system(cast, settings=settings) as system:
        task = await system.create("frogs")
        async for _ in system.execute(task.task_id):
            pass
        log = b"".join([p.lines async for p in await system.follow(task.task_id)])
        async with listening(system, **server) as one:
            yield system, one, f"/tasks/{task.task_id}/events", log


async def ask(client: Client, target: str, *fields: bytes) -> None:
    await client.send(f"GET {target} HTTP/1.1\r\n".encode() + HOST + b"".join(fields) + b"\r\n")


async def stalled(server: Listening) -> None:
    """Wait until no reader takes anything, for longer than it takes the server to let go.

    Nothing is asserted on it: whatever the moment, the bytes must be right.
    """
    before = -1
    while before != server.table.buffered_bytes:
        before = server.table.buffered_bytes
        await trio.sleep(0.6)


async def test_a_reader_who_stalls_and_goes_on_gets_every_byte():
    async with long_log() as (_, server, target, log), server.client() as client:
        await ask(client, target)
        await stalled(server)

        assert server.table.buffered_bytes < 16_384
        answer = await client.answer()
        assert answer.whole and answer.body == log


async def test_a_reader_who_stalls_again_and_again_gets_every_byte():
    async with long_log() as (_, server, target, log), server.client() as client:
        await ask(client, target)
        body = b""
        await client.head()
        for n in range(3_000):
            if n in (0, 20, 50, 100):
                await stalled(server)
            part = await client.chunk()
            if not part:
                break
            body += part
        assert body == log


async def test_a_dropped_reader_comes_back_for_the_exact_rest():
    async with long_log(write_timeout_s=0.2) as (_, server, target, log):
        async with server.client() as client:
            await ask(client, target)
            await server.connections(1)
            await server.connections(0)
            answer = await client.answer()
            assert not answer.whole and log.startswith(answer.body)

        lines = answer.body.split(b"\n")[:-1]
        seq = json.loads(lines[-1])["seq"]
        rest = await server.ask(f"GET {target}?after={seq} HTTP/1.1\r\n".encode() + HOST + b"\r\n")

        assert b"".join(line + b"\n" for line in lines) + rest.body == log


async def test_a_stalled_event_source_gets_every_event():
    accept = b"Accept: text/event-stream\r\n"
    async with long_log() as (_, server, target, log), server.client() as client:
        await ask(client, target, accept)
        await stalled(server)
        answer = await client.answer()

        data = [e.split(b"data: ")[1] for e in answer.body.split(b"\n\n")[:-1]]
        assert b"".join(line + b"\n" for line in data) == log


async def test_many_stalled_readers_hold_little_and_do_not_delay_the_end():
    async with long_log() as (_, server, target, _log), trio.open_nursery() as nursery:

        async def stall() -> None:
            async with server.client() as client:
                await ask(client, target)
                await trio.sleep_forever()

        for _ in range(50):
            nursery.start_soon(stall)
        await server.connections(50)
        await stalled(server)
        assert server.table.buffered_bytes < 50 * 16_384  # A line each.
        began = trio.current_time()
        server.closing.set()
        await server.connections(0)

        assert trio.current_time() - began < 2
        nursery.cancel_scope.cancel()


async def test_a_finished_log_is_streamed_to_a_client_that_has_half_closed():
    async with long_log() as (_, server, target, log), server.client() as client:
        await ask(client, target)
        await client.stream.send_eof()

        assert (await client.answer()).body == log


async def test_a_live_stream_to_a_client_that_has_half_closed_ends_when_it_pauses():
    async with scripted_system(Cast(pause_s=30)) as system, listening(system) as server:
        task = await system.create("frogs")
        await system.start(task.task_id)
        async with server.client() as client:
            await ask(client, f"/tasks/{task.task_id}/events")
            await client.stream.send_eof()
            answer = await client.answer()

            assert answer.status == 200 and not answer.whole
        await system.cancel(task.task_id)


# --- chunks and slices -------------------------------------------------------------------------------------


NDJSON_TYPE, SSE_TYPE = b"Accept: application/x-ndjson\r\n", b"Accept: text/event-stream\r\n"


@pytest.mark.parametrize(("accept", "end"), [(NDJSON_TYPE, b"\n"), (SSE_TYPE, b"\n\n")])
@pytest.mark.parametrize("letter", ["x", "ü", "€", "\U0001f438"])
async def test_a_chunk_ends_with_a_line_if_the_line_has_64_kib_and_never_within_a_character(
    accept, end, letter
):
    parts = [letter * count for count in (5, 900, 3_000, 9_000, 30_000, 5, 50_000, 1)]
    async with scripted_system(Cast(parts=parts)) as system, listening(system) as server:
        task = await system.create(letter * 20_000)
        async for _ in system.execute(task.task_id):
            pass
        async with server.client() as client:
            await ask(client, f"/tasks/{task.task_id}/events?follow=false", accept)
            await client.head()
            chunks = []
            while chunk := await client.chunk():
                chunks.append(chunk)

    line = b""
    for chunk in chunks:
        chunk.decode()
        line = (line + chunk).rpartition(end)[2] if end in chunk else line + chunk
        if not chunk.endswith(end):
            assert len(line) < len(whole_line(chunks, line, end)) > 64 * 1024
    assert line == b""
    assert len(chunks) > 4  # They are bounded, too.
    assert max(map(len, chunks)) < 70_000


def whole_line(chunks: list[bytes], begin: bytes, end: bytes) -> bytes:
    """The line of the stream that begins like this."""
    return next(one for one in b"".join(chunks).split(end) if one.startswith(begin)) + end


async def test_slices_are_the_log_wherever_what_is_ahead_is_dropped():
    """Drop it after each n-th slice, for many n, with plenty to keep and with little."""
    async with long_log() as (system, _, target, log):
        for every in (1, 2, 3, 7, 31):
            for held in (0, READ_AHEAD_BYTES):
                ahead = ReadAhead()
                ahead.bytes = held
                follower = await system.follow(target.split("/")[2])
                slices, got = LogChunks(follower, ahead, sse=False), bytearray()
                while len(got) < 300_000:
                    for _ in range(every):
                        got += await slices.take()
                    assert ahead.bytes - held <= (KEPT_BYTES if held else 10**6)
                    slices.let_go()
                    assert ahead.bytes == held
                assert log.startswith(bytes(got))

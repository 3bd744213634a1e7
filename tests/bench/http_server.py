"""Requests per second of server CPU: our server against Hypercorn's own, by kind of response.

    python tests/bench/http_server.py [--requests 2000] [--connections 20] [--rounds 3]

- chunks: a bare ASGI app that sends a head and 27 chunks, as a stream of a task does
- small: a bare ASGI app that sends one small body
- livez: the same through our app

Both sides are measured in turn, in one run.
"""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import trio

sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (0, 1, 2)]

from processes import cpu_s

CHUNK = b'{"seq":7,"event_type":"partial_output","data":{"content":"' + b"x" * 200 + b'"}}\n'


async def chunks(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(27):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def serve(kind: str, stock: bool, ready: int, done: int) -> None:
    from http_raw import plain, stock_serve
    from scripted import scripted_system

    from web.api.app import create_app
    from web.server import serve
    from web.settings.model import ServerSettings

    settings = ServerSettings(bind="127.0.0.1:0")
    serving: Any = stock_serve if stock else serve
    async with scripted_system() as system, trio.open_nursery() as nursery:
        livez = create_app(system, settings)
        apps = {"chunks": chunks, "small": plain(), "livez": livez}
        (url, *_) = await nursery.start(partial(serving, apps[kind], settings))
        os.write(ready, url.encode())
        await trio.lowlevel.wait_readable(done)
        os._exit(0)


async def client(url: str, requests: int, connections: int) -> None:
    left = iter(range(requests))
    host, port = url.removeprefix("http://").split(":")

    async def worker() -> None:
        stream = await trio.open_tcp_stream(host, int(port))
        async with stream:
            for _ in left:
                await stream.send_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
                got = b""
                while not _whole(got):
                    got += await stream.receive_some(65_536)

    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(worker)


def _whole(got: bytes) -> bool:
    head, end, body = got.partition(b"\r\n\r\n")
    if b"chunked" in head:
        return got.endswith(b"0\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) == int(length)


def measure(kind: str, stock: bool, requests: int, connections: int) -> float:
    """CPU seconds of the server."""
    ready_read, ready_write = os.pipe()
    done_read, done_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(done_write)
        trio.run(serve, kind, stock, ready_write, done_read)
    os.close(done_read)
    url = os.read(ready_read, 200).decode()
    trio.run(client, url, 200, connections)  # Warm up.
    before = cpu_s(pid)
    trio.run(client, url, requests, connections)
    cpu = cpu_s(pid) - before
    os.close(done_write)
    os.waitpid(pid, 0)
    return cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    for kind in ("chunks", "small", "livez"):
        spent = {True: 0.0, False: 0.0}
        for _ in range(asked.rounds):
            for stock in spent:
                spent[stock] += measure(kind, stock, asked.requests, asked.connections)
        total = asked.requests * asked.rounds
        ours, theirs = total / spent[False], total / spent[True]
        print(f"{kind:7} ours {ours:6.0f}/s  stock {theirs:6.0f}/s  ratio {ours / theirs:.2f}")


if __name__ == "__main__":
    main()

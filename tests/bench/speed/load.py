"""The load: tasks created and streamed to their end over raw sockets.

    python load.py URL TASKS CONCURRENCY      prints a line of JSON

Each of CONCURRENCY connections creates a task, executes it, reads the stream to its end, and goes on
with the next. Only the ends of responses are looked for, so that it costs far less than any server;
`cpu_s`, its own CPU time, shows it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast
from urllib.parse import urlsplit

CREATE = b'{"task_description":"frogs"}'


@dataclass
class Load:
    """Seconds until the first event and the end of each task; seconds of the whole."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    events: int = 0
    refused: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def request(self, target: str, host: str, body: bytes) -> asyncio.Future[bytes]:
        """Send a POST request; the result is the whole response."""
        self.received = bytearray()
        self.first_body = 0.0
        self.answer = answer = asyncio.get_running_loop().create_future()
        head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        return answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.first_body and b'"seq"' in self.received:
            self.first_body = time.perf_counter()
        if self.received.endswith(b"0\r\n\r\n") or self._has_whole_body():
            assert self.answer
            self.answer.set_result(bytes(self.received))

    def _has_whole_body(self) -> bool:
        head, blank, body = self.received.partition(b"\r\n\r\n")
        _, name, rest = head.lower().partition(b"content-length:")
        return bool(blank and name) and len(body) >= int(rest.split(b"\r\n", 1)[0])

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer and not self.answer.done():
            self.answer.set_exception(error or ConnectionError("The server closed the connection."))


async def worker(load: Load, host: str, port: int, left: list[int]) -> None:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, port)
    name = f"{host}:{port}"
    while left:
        left.pop()  # A list is a counter that all workers share.
        begin = time.perf_counter()
        created = await connection.request("/tasks", name, CREATE)
        task_id = json.loads(created.partition(b"\r\n\r\n")[2])["task_id"]
        streamed = await connection.request(f"/tasks/{task_id}/execute", name, b"")
        if not streamed.startswith(b"HTTP/1.1 200"):
            load.refused += 1
            continue
        load.first_s.append(connection.first_body - begin)
        load.whole_s.append(time.perf_counter() - begin)
        load.events += streamed.count(b'"seq"')
    connection.transport.close()


async def run(url: str, tasks: int, concurrency: int) -> Load:
    """Put the load on a server."""
    load, left = Load(), [0] * tasks
    place = urlsplit(url)
    assert place.hostname and place.port
    begin, cpu = time.perf_counter(), time.process_time()
    workers = (worker(load, place.hostname, place.port, left) for _ in range(concurrency))
    await asyncio.gather(*workers)
    load.wall_s, load.cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    return load


if __name__ == "__main__":
    import uvloop

    print(json.dumps(asdict(uvloop.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))))

"""The load: tasks created and streamed to their end over raw sockets.

    python load.py URL TASKS CONCURRENCY      prints a line of JSON

Each of CONCURRENCY connections creates a task, executes it, reads the stream to its end, and goes on
with the next. Only the ends of responses are looked for, so that it costs far less than any server;
`cpu_s`, its own CPU time, shows it.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast
from urllib.parse import urlsplit

LIMIT_S = 300
CREATE = b'{"task_description":"frogs"}'


@dataclass
class Load:
    """Seconds until the first event and the end of each task; seconds of the whole.

    `heads_s` is the time until the head of the answer to the execute request, and unlike the others
    it includes the connecting before a first task. `refused` has the statuses of other answers.
    """

    heads_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    events: int = 0
    refused: list[str] = field(default_factory=list)
    wall_s: float = 0.0
    cpu_s: float = 0.0


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def request(
        self, target: str, host: str, body: bytes, *, events: int | None = None
    ) -> asyncio.Future[bytes]:
        """Send a POST request; the result is the whole response, or `events` events of it."""
        self.received = bytearray()
        self.head_at = self.first_at = 0.0
        self._events = events
        self.answer = answer = asyncio.get_running_loop().create_future()
        head = f"POST {target} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        self.transport.write(head.encode() + body)
        return answer

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.head_at and b"\r\n\r\n" in self.received:
            self.head_at = time.perf_counter()
        if not self.first_at and b'"seq"' in self.received:
            self.first_at = time.perf_counter()
        assert self.answer
        if not self.answer.done() and self._is_complete():
            self.answer.set_result(bytes(self.received))

    def _is_complete(self) -> bool:
        if self._events and self.received.count(b'"seq"') >= self._events:
            return True
        return self.received.endswith(b"0\r\n\r\n") or self._has_whole_body()

    def _has_whole_body(self) -> bool:
        head, blank, body = self.received.partition(b"\r\n\r\n")
        _, name, rest = head.lower().partition(b"content-length:")
        return bool(blank and name) and len(body) >= int(rest.split(b"\r\n", 1)[0])

    def connection_lost(self, error: Exception | None) -> None:
        if self.answer and not self.answer.done():
            self.answer.set_exception(error or ConnectionError("The server closed the connection."))


class Client:
    """Creates and executes tasks over a connection of its own."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        assert place.hostname and place.port
        self._host, self._port, self._name = place.hostname, place.port, place.netloc

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.connection = await loop.create_connection(Connection, self._host, self._port)

    async def execute(self, *, events: int | None = None) -> bytes:
        """The answer of the execute request of a new task, or that of a create that was refused.

        With `events` the stream is left open after so many, and its task ends with its connection.
        """
        created = await self.connection.request("/tasks", self._name, CREATE)
        if not created.startswith(b"HTTP/1.1 201"):
            return created
        task_id = json.loads(created.partition(b"\r\n\r\n")[2])["task_id"]
        target = f"/tasks/{task_id}/execute" + ("?on_disconnect=cancel" if events else "")
        return await self.connection.request(target, self._name, b"", events=events)


def was_streamed(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 200")


async def worker(load: Load, url: str, left: list[int]) -> None:
    client, connecting = Client(url), time.perf_counter()
    await client.connect()
    before = time.perf_counter() - connecting
    while left:
        left.pop()  # A list is a counter that all workers share.
        began = time.perf_counter()
        answer = await client.execute()
        load.heads_s.append(before + client.connection.head_at - began)
        before = 0.0
        if was_streamed(answer):
            load.first_s.append(client.connection.first_at - began)
            load.whole_s.append(time.perf_counter() - began)
            load.events += answer.count(b'"seq"')
        else:
            load.refused.append(answer[9:12].decode())
    client.connection.transport.close()


async def run(url: str, tasks: int, concurrency: int) -> Load:
    """Put the load on a server."""
    load, left = Load(), [0] * tasks
    begin, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker(load, url, left) for _ in range(concurrency)))
    load.wall_s, load.cpu_s = time.perf_counter() - begin, time.process_time() - cpu
    return load


def prepare() -> None:
    """Allow many sockets; and end in any case, as a server may hang."""
    signal.alarm(LIMIT_S)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    import uvloop

    prepare()
    found = asdict(uvloop.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    # Not by `print`: an unbuffered stdout (PYTHONUNBUFFERED) can drop the end of a long line.
    with open(sys.stdout.fileno(), "w", closefd=False) as out:
        json.dump(found, out)

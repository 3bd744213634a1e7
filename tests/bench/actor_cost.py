"""What an actor costs beside raw Trio channels, as ratios measured in one run.

    python tests/bench/actor_cost.py [--rounds 7]

Each round measures both sides in turn, so that a noisy machine hits both; the median round counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from actors.runtime import Call, Ref, Request, StreamRequest, spawn

COUNT = 5_000
"""Messages in one measurement."""

AHEAD = 32
"""Room in the raw channels, as in the runtime's own."""


@dataclass(frozen=True, slots=True)
class Echo(Request[int]):
    value: int


@dataclass(frozen=True, slots=True)
class Count(StreamRequest[int, None]):
    parts: int


class Echoing:
    async def handle(self, request: Echo | Count, call: Call[Any]) -> Any:
        if isinstance(request, Echo):
            return request.value
        for n in range(request.parts):
            await call.part(n)


async def ask(ref: Ref) -> None:
    for n in range(COUNT):
        await ref.ask(Echo(n))


async def send_then_reply(ref: Ref) -> None:
    """Send without waiting for each reply, as a run does with its log; collect them in batches."""
    for _ in range(COUNT // 50):
        for call in [await ref.send(Echo(n)) for n in range(50)]:
            await call.reply()


async def channel_per_ask(ref: Ref) -> None:
    async with trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[tuple[int, trio.MemorySendChannel[int]]](64)

        async def answer() -> None:
            async for value, reply in receive:
                reply.send_nowait(value)

        nursery.start_soon(answer)
        for n in range(COUNT):
            reply_send, reply = trio.open_memory_channel[int](1)
            await send.send((n, reply_send))
            await reply.receive()
        nursery.cancel_scope.cancel()


async def parts(ref: Ref) -> None:
    async with ref.stream(Count(COUNT)) as stream:
        async for _ in stream:
            pass


async def channel(ref: Ref) -> None:
    async with trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[int](AHEAD)

        async def produce() -> None:
            async with send:
                for n in range(COUNT):
                    await send.send(n)

        nursery.start_soon(produce)
        async for _ in receive:
            pass


Measured = Callable[[Ref], Awaitable[None]]
ROWS: list[tuple[str, Measured, str, Measured, float | None]] = [
    ("ask", ask, "a channel per ask", channel_per_ask, 0.75),
    ("streamed part", parts, "a channel send", channel, 1.5),
    ("send, reply later", send_then_reply, "a channel send", channel, None),
]


async def measure(work: Measured, ref: Ref) -> float:
    """Microseconds of CPU for one message."""
    started = time.process_time()
    await work(ref)
    return (time.process_time() - started) / COUNT * 1e6


async def measure_all(rounds: int) -> list[tuple[float, float]]:
    """For each row its microseconds, and the ratio to raw channels."""
    found = []
    async with trio.open_nursery() as nursery:
        ref = spawn(nursery, "echo", Echoing, capacity=64)
        for _, ours, _, raw, _ in ROWS:
            costs = [(await measure(ours, ref), await measure(raw, ref)) for _ in range(rounds)]
            ratio = statistics.median(a / b for a, b in costs)
            found.append((statistics.median(a for a, _ in costs), ratio))
        nursery.cancel_scope.cancel()
    return found


def main(rounds: int) -> None:
    found = trio.run(measure_all, rounds)
    for (name, _, raw_name, _, aim), (cost, ratio) in zip(ROWS, found, strict=True):
        goal = f"  (aim: at most {aim})" if aim else ""
        print(f"{name:18} {cost:6.1f} us   {ratio:5.2f} times {raw_name}{goal}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    main(parser.parse_args().rounds)

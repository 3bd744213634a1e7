"""The longest tick of the event loop while many clients do the same at once, by the bounds per tick.

    python tests/bench/http_ticks.py [--clients 600]

Each line leaves out one of the bounds of `actors.runtime.fairness`: for as long as the longest tick
takes, all other clients wait.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
from pathlib import Path

import trio

sys.path[:0] = [str(Path(__file__).resolve().parents[n]) for n in (1, 2)]

NO_BOUND = 1_000_000
CASES = {"as built": "", "requests": "REQUESTS_PER_TICK", "closes": "CLOSES_PER_TICK"}
CASES["accepts"] = "ACCEPTS_PER_TICK"


class LongestTick(trio.abc.Instrument):
    """Seconds of the longest tick since it was last asked."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._longest = 0.0

    def after_io_wait(self, timeout: float) -> None:
        self._began = time.perf_counter()

    def before_io_wait(self, timeout: float) -> None:
        self._longest = max(self._longest, time.perf_counter() - self._began)

    def take(self) -> float:
        longest, self._longest = self._longest, 0.0
        return longest


async def measure(clients: int) -> list[float]:
    """Seconds of the longest tick while clients connect, ask, and leave."""
    from http_raw import GOOD, listening
    from scripted import scripted_system

    def ask(sockets: list[socket.socket]) -> None:
        for one in sockets:
            one.sendall(GOOD)
        for one in sockets:
            one.recv(1_000)

    async with scripted_system() as system, listening(system) as server:

        def connect() -> list[socket.socket]:
            sockets = [socket.create_connection((server.host, server.port)) for _ in range(clients)]
            ask(sockets)
            return sockets

        tick = LongestTick()
        trio.lowlevel.add_instrument(tick)
        sockets = await trio.to_thread.run_sync(connect)
        longest = [tick.take()]
        await trio.to_thread.run_sync(ask, sockets)
        longest.append(tick.take())
        for one in sockets:
            one.close()
        tick.take()
        await server.connections(0)
        return [*longest, tick.take()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=600)
    parser.add_argument("--without", choices=CASES)
    asked = parser.parse_args()
    if asked.without is None:
        for case in CASES:  # A process for each, since the constants are imported by name.
            here = [sys.executable, __file__, "--clients", str(asked.clients), "--without", case]
            subprocess.run(here, check=True)
        return
    import actors.runtime.fairness

    if name := CASES[asked.without]:
        setattr(actors.runtime.fairness, name, NO_BOUND)
    connect, ask, leave = (1_000 * took for took in trio.run(measure, asked.clients))
    case = asked.without if asked.without == "as built" else f"without {asked.without}"
    print(f"{case:16} connect {connect:5.0f} ms   ask {ask:5.0f} ms   leave {leave:5.0f} ms")


if __name__ == "__main__":
    main()

"""Streams that stay open: `python holding.py URL COUNT` prints how many are open once all have begun.

They are opened a few at a time, and have begun when they have their events. At the end of stdin all
are closed at once.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from speed.load import Client, prepare, was_streamed
from speed.servers import EVENTS_OPEN

AT_ONCE = 64


async def main(url: str, count: int) -> None:
    opening = asyncio.Semaphore(AT_ONCE)
    clients = [Client(url) for _ in range(count)]

    async def hold(client: Client) -> bool:
        async with opening:
            await client.connect()
            return was_streamed(await client.execute(events=EVENTS_OPEN))

    print(sum(await asyncio.gather(*map(hold, clients))), flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    prepare()
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))

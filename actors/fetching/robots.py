"""What hosts ask of robots: their robots.txt, as RFC 9309 tells to read it.

Rule: a host without the file, or that refuses to show it, asks for nothing; one that cannot show it
now asks to be left alone. The answer of a host is kept for an hour, within a bound.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.robotparser import RobotFileParser

import httpx
import trio

from actors.errors import FetchFailed, FetchRefused
from actors.fetching.exchange import NAME

READ_BYTES = 512 * 1024
"""What is read of a file: RFC 9309 wants 500 KiB at the least."""

_KEPT_S = 3_600.0
_MOST_HOSTS = 256
_MOST_BYTES = 1024 * 1024
_AT_ONCE_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True)
class _Rules:
    parser: RobotFileParser
    size: int
    until: float


class Robots:
    """The rules of the hosts asked lately. `load` gets their files, and raises as a fetch does."""

    def __init__(self, load: Callable[[httpx.URL], Awaitable[bytes]]) -> None:
        self._load = load
        self._kept: OrderedDict[httpx.URL, _Rules] = OrderedDict()

    async def check(self, url: httpx.URL) -> None:
        """Raise `FetchRefused` if the host asks programs not to fetch this."""
        place = url.copy_with(path="/robots.txt", query=None)
        rules = self._kept.get(place)
        if rules is None or rules.until < trio.current_time():
            rules = await self._read(place)
            self._keep(place, rules)
        if not rules.parser.can_fetch(NAME, str(url)):
            raise FetchRefused(f"{url.host} asks programs not to fetch {url} (robots.txt).")

    async def _read(self, place: httpx.URL) -> _Rules:
        text = b""
        try:
            text = await self._load(place)
        except FetchRefused:
            pass  # What keeps us from the file and is no fault of the file keeps us from the page.
        except FetchFailed as failed:
            told = FetchFailed(
                f"{failed.message} Without its robots.txt no page of {place.host} is fetched."
            )
            told.retry_after_s = failed.retry_after_s
            raise told from None
        parser = RobotFileParser()
        lines = text.decode("utf-8", errors="replace").splitlines()
        if len(text) <= _AT_ONCE_BYTES:
            parser.parse(lines)
        else:
            await trio.to_thread.run_sync(parser.parse, lines)
        return _Rules(parser, len(text), trio.current_time() + _KEPT_S)

    def _keep(self, place: httpx.URL, rules: _Rules) -> None:
        self._kept.pop(place, None)
        self._kept[place] = rules
        while (
            len(self._kept) > _MOST_HOSTS or sum(r.size for r in self._kept.values()) > _MOST_BYTES
        ):
            self._kept.popitem(last=False)

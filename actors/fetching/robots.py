"""What hosts ask of robots: their robots.txt, as RFC 9309 tells to read it (with Protego).

Rule: a host without the file, or that refuses to show it, asks for nothing; one that cannot show it
now asks to be left alone. The answer of a host is kept for an hour, within a bound.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import httpx
import trio
from protego import Protego

from actors.errors import FetchFailed, FetchRefused
from actors.fetching.request import NAME

READ_BYTES = 512 * 1024
"""What is read of a file: RFC 9309 wants 500 KiB at the least."""

_KEPT_S = 3_600.0
_MOST_HOSTS = 256
_MOST_BYTES = 1024 * 1024
_AT_ONCE_BYTES = 16 * 1024
"""Larger files take a thread to read, and to look a URL up in."""

_NAMING = re.compile(r"\s*user[-\s]*agent(?=[\s:])[\s:]*([^\s/#]*)", re.IGNORECASE)
_OURS = frozenset({"*", NAME.lower()})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Rules:
    parsed: Protego
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
        if not await _done(rules.size, partial(rules.parsed.can_fetch, str(url), NAME)):
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
        parsed = await _done(len(text), partial(_parsed, text))
        return _Rules(parsed, len(text), trio.current_time() + _KEPT_S)

    def _keep(self, place: httpx.URL, rules: _Rules) -> None:
        self._kept.pop(place, None)
        self._kept[place] = rules
        while (
            len(self._kept) > _MOST_HOSTS or sum(r.size for r in self._kept.values()) > _MOST_BYTES
        ):
            self._kept.popitem(last=False)


async def _done(size: int, work: Callable[[], T]) -> T:
    """What `work` gives, done in a thread if the file it is about is large."""
    return work() if size <= _AT_ONCE_BYTES else await trio.to_thread.run_sync(work)


def _parsed(text: bytes) -> Protego:
    """The rules of a file. Other programs get one name together: for each of a group's names, all its
    rules are held, so a small file with many of both would fill the memory."""
    lines = []
    for line in text.decode("utf-8-sig", errors="replace").splitlines():
        named = _NAMING.match(line)
        if named is not None:
            name = named[1].lower()
            line = f"User-agent: {name if name in _OURS else 'another'}"
        lines.append(line)
    return Protego.parse("\n".join(lines))

"""The robots.txt of hosts, read as RFC 9309 requires (with Protego).

Rule: if a host has no robots.txt or refuses it, everything is allowed; if the host cannot send it
now, nothing is. The rules of a host are cached for an hour, within a bound.
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
from actors.fetching.request import USER_AGENT

MAX_ROBOTS_BYTES = 512 * 1024
"""A longer file is cut. RFC 9309 requires at least 500 KiB."""

_CACHED_S = 3_600.0
_MAX_HOSTS = 256
_MAX_CACHED_BYTES = 1024 * 1024
_INLINE_BYTES = 16 * 1024
"""A larger file is parsed and matched in a thread."""

_GROUP = re.compile(r"\s*user[-\s]*agent(?=[\s:])[\s:]*([^\s/#]*)", re.IGNORECASE)
_OUR_GROUPS = frozenset({"*", USER_AGENT.lower()})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Rules:
    parsed: Protego
    size: int
    until: float


class Robots:
    """The cached rules of hosts. `load` fetches a robots.txt; it raises the errors of a fetch."""

    def __init__(self, load: Callable[[httpx.URL], Awaitable[bytes]]) -> None:
        self._load = load
        self._cache: OrderedDict[httpx.URL, _Rules] = OrderedDict()

    async def check(self, url: httpx.URL) -> None:
        """Raise `FetchRefused` if the host's robots.txt disallows this URL."""
        file = url.copy_with(path="/robots.txt", query=None)
        rules = self._cache.get(file)
        if rules is None or rules.until < trio.current_time():
            rules = await self._read(file)
            self._store(file, rules)
        if not await _run(rules.size, partial(rules.parsed.can_fetch, str(url), USER_AGENT)):
            raise FetchRefused(f"The robots.txt of {url.host} disallows {url}.")

    async def _read(self, file: httpx.URL) -> _Rules:
        text = b""
        try:
            text = await self._load(file)
        except FetchRefused:
            pass  # A cause that is not the file itself, such as the address, refuses the page, too.
        except FetchFailed as cause:
            error = FetchFailed(
                f"{cause.message} Without its robots.txt no page of {file.host} is fetched."
            )
            error.retry_after_s = cause.retry_after_s
            raise error from None
        parsed = await _run(len(text), partial(_parsed, text))
        return _Rules(parsed, len(text), trio.current_time() + _CACHED_S)

    def _store(self, file: httpx.URL, rules: _Rules) -> None:
        self._cache.pop(file, None)
        self._cache[file] = rules
        while (
            len(self._cache) > _MAX_HOSTS
            or sum(r.size for r in self._cache.values()) > _MAX_CACHED_BYTES
        ):
            self._cache.popitem(last=False)


async def _run(size: int, work: Callable[[], T]) -> T:
    """The result of `work`, which runs in a thread if the file is large."""
    return work() if size <= _INLINE_BYTES else await trio.to_thread.run_sync(work)


def _parsed(text: bytes) -> Protego:
    """Parse a file. All other user agents get one name: Protego keeps a copy of a group's rules for
    each of its names, so that a small file with many of both would fill the memory."""
    lines = []
    for line in text.decode("utf-8-sig", errors="replace").splitlines():
        match = _GROUP.match(line)
        if match is not None:
            name = match[1].lower()
            line = f"User-agent: {name if name in _OUR_GROUPS else 'another'}"
        lines.append(line)
    return Protego.parse("\n".join(lines))

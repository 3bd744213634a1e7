"""From a URL to its page, over redirects.

Rule: each redirect is looked at like the URL that a person gave: its form, its host's address, and
what its host asks of robots.
"""

from __future__ import annotations

import httpx

from actors.errors import FetchRefused
from actors.fetching.fetcher import FetchLimits, Page
from actors.fetching.request import Answer, Exchanges
from actors.fetching.robots import READ_BYTES, Robots
from actors.fetching.urls import checked

MOST_REDIRECTS = 5


class Following:
    """What a `Fetcher` does once everything for it is loaded, which takes a while."""

    def __init__(self, limits: FetchLimits) -> None:
        trusted = httpx.create_ssl_context()
        self._max_bytes = limits.max_bytes
        self._exchanges = Exchanges(trusted, private=limits.private)
        self._robots = Robots(self._rules)

    async def page(self, asked: str) -> Page:
        """The page at a URL; raises `FetchRefused` and `FetchFailed`."""
        url = checked(asked)
        place, answer = await self._follow(url, self._max_bytes, robots=False)
        return Page(str(url), str(place), answer.media_type, answer.body)

    async def _rules(self, place: httpx.URL) -> bytes:
        _, answer = await self._follow(place, READ_BYTES, robots=True)
        return answer.body

    async def _follow(self, url: httpx.URL, most: int, *, robots: bool) -> tuple[httpx.URL, Answer]:
        place = url
        for _ in range(1 + MOST_REDIRECTS):
            if not robots:
                await self._robots.check(place)
            answer = await self._exchanges.get(place, most, robots=robots)
            if answer.location is None:
                return place, answer
            place = checked(answer.location, within=place)
        raise FetchRefused(f"{url} redirects more than {MOST_REDIRECTS} times.")

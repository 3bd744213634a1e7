"""From a URL to its page, over redirects.

Rule: each redirect is checked like the URL that a person gave: its form, its host's address and its
host's robots.txt. A checked URL is normalized: http or https, a host in ASCII, no credentials and
no fragment.
"""

from __future__ import annotations

import httpx

from actors.errors import FetchRefused
from actors.fetching.request import PageClient, Response
from actors.fetching.robots import MAX_ROBOTS_BYTES, Robots

MAX_REDIRECTS = 5
MAX_URL = 4_096

_BAD_PORTS = """1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104
    109 110 111 113 115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531
    532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061
    6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"""
BAD_PORTS = frozenset(map(int, _BAD_PORTS.split()))
"""Ports of other services, such as mail, which could take a request for commands. Source: "Port
blocking" in the Fetch standard."""


class RedirectFollower:
    """Fetches pages over redirects. Made late, as its libraries and certificates load slowly."""

    def __init__(self, *, max_bytes: int, private: bool) -> None:
        self._max_bytes = max_bytes
        self._client = PageClient(httpx.create_ssl_context(), private=private)
        self._robots = Robots(self._robots_txt)

    async def fetch(self, url: str) -> tuple[str, str, Response]:
        """The normalized URL, the final URL and the response there.

        Raises `FetchRefused` and `FetchFailed`.
        """
        first = checked(url)
        final, response = await self._follow(first, self._max_bytes, robots=False)
        return str(first), str(final), response

    async def _robots_txt(self, url: httpx.URL) -> bytes:
        _, response = await self._follow(url, MAX_ROBOTS_BYTES, robots=True)
        return response.body

    async def _follow(
        self, first: httpx.URL, max_bytes: int, *, robots: bool
    ) -> tuple[httpx.URL, Response]:
        url = first
        for _ in range(1 + MAX_REDIRECTS):
            if not robots:
                await self._robots.check(url)
            response = await self._client.get(url, max_bytes, robots=robots)
            if response.location is None:
                return url, response
            url = checked(response.location, within=url)
        raise FetchRefused(f"{first} redirects more than {MAX_REDIRECTS} times.")


def checked(text: str, *, within: httpx.URL | None = None) -> httpx.URL:
    """Normalize a URL, resolving a relative one against `within`; raises `FetchRefused`."""
    shown = text if len(text) <= 200 else text[:199] + "…"
    if len(text) > MAX_URL:
        raise FetchRefused(f"{shown} is longer than {MAX_URL:,} characters.")
    try:
        url = httpx.URL(text.strip())
        url = (within.join(url) if within is not None else url).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise FetchRefused(f"{shown} is not a URL: {error}.") from None
    if url.scheme not in ("http", "https"):
        raise FetchRefused(f"{shown} is not fetched: only http:// and https:// are.")
    if url.userinfo:
        raise FetchRefused("A URL with a user name or password in it is not fetched.")
    if not url.host or (url.port is not None and not 0 < url.port < 65_536):
        raise FetchRefused(f"{shown} has no valid host and port.")
    if url.port in BAD_PORTS:
        raise FetchRefused(
            f"{shown} is not fetched: port {url.port} belongs to another service than the web."
        )
    return url.copy_with(raw_path=url.raw_path)  # http://x and http://x/ are the same.

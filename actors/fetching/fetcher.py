"""Fetches web pages: the only code of Terzetto that sends requests to the internet.

    page = await Fetcher(FetchLimits()).fetch("https://docs.python.org/3/library/queue.html")

The proxies of the environment are not used: a proxy would choose the address to connect to, so that
it could not be checked.

Rule: a fetch is bounded in time, bytes and number. It returns a complete page or raises an error
that says whose move is next.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import trio

from actors.errors import FetchFailed
from actors.settings import Settings

if TYPE_CHECKING:
    from actors.fetching.redirects import RedirectFollower

AT_A_TIME = 4
"""Concurrent fetches of one fetcher."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The bounds of a fetch, and whether it may connect to private networks."""

    timeout_s: float = 20.0
    max_bytes: int = 10 * 1024 * 1024
    private: bool = False

    @classmethod
    def of(cls, settings: Settings) -> FetchLimits:
        """The limits of the settings."""
        return cls(settings.fetch_timeout_s, settings.fetch_max_bytes, settings.fetch_private)


@dataclass(frozen=True, slots=True)
class Page:
    """The page at `url`, a normalized URL; `final_url` is its URL after redirects."""

    url: str
    final_url: str
    media_type: str | None
    body: bytes

    @property
    def file_name(self) -> str:
        """The last part of the path, or the host if the path is empty."""
        parts = urlsplit(self.final_url)
        return PurePosixPath(unquote(parts.path)).name or parts.hostname or ""


class Fetcher:
    """Fetches pages, a few at the same time. It keeps no connection between fetches."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._limiter = trio.CapacityLimiter(AT_A_TIME)
        self._follower: RedirectFollower | None = None

    @property
    def is_full(self) -> bool:
        """Whether another fetch would have to wait."""
        return self._limiter.available_tokens == 0

    async def fetch(self, url: str) -> Page:
        """The page at `url`; raises `FetchRefused` and `FetchFailed`."""
        async with self._limiter:
            if self._follower is None:
                loaded = await trio.to_thread.run_sync(_load_follower, self._limits)
                self._follower = self._follower or loaded
            with trio.move_on_after(self._limits.timeout_s):
                normalized, final, response = await self._follower.fetch(url)
                return Page(normalized, final, response.media_type, response.body)
            raise FetchFailed(f"{url} took longer than {self._limits.timeout_s:g} s.")


def _load_follower(limits: FetchLimits) -> RedirectFollower:
    """Run in a thread, as the libraries and the certificates load slowly."""
    from actors.fetching.redirects import RedirectFollower

    return RedirectFollower(max_bytes=limits.max_bytes, private=limits.private)

"""Fetching a web page: the one way in which Terzetto asks the internet for anything.

    page = await Fetcher(FetchLimits()).fetch("https://docs.python.org/3/library/queue.html")

Proxies that the environment names are not used: the address that is connected to would then be
chosen, and could only be checked, by the proxy.

Rule: a fetch is bounded in time, bytes and number, and either gives a whole page or says whose move
is next.
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
    from actors.fetching.redirects import Following

AT_A_TIME = 4
"""Pages that one fetcher fetches at the same time."""


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What a fetch may take, and whether it may ask private networks."""

    timeout_s: float = 20.0
    max_bytes: int = 10 * 1024 * 1024
    private: bool = False

    @classmethod
    def of(cls, settings: Settings) -> FetchLimits:
        """The limits that were set."""
        return cls(settings.fetch_timeout_s, settings.fetch_max_bytes, settings.fetch_private)


@dataclass(frozen=True, slots=True)
class Page:
    """What was found at `url`, in the spelling it was asked for; `final_url` is where it was."""

    url: str
    final_url: str
    media_type: str | None
    body: bytes

    @property
    def file_name(self) -> str:
        """What a file with the page would be called; the host's name if its path names none."""
        parts = urlsplit(self.final_url)
        return PurePosixPath(unquote(parts.path)).name or parts.hostname or ""


class Fetcher:
    """Fetches pages, a few at the same time. Between fetches it holds no connection."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._places = trio.CapacityLimiter(AT_A_TIME)
        self._following: Following | None = None

    @property
    def is_full(self) -> bool:
        """Whether one more page would have to wait for another."""
        return self._places.available_tokens == 0

    async def fetch(self, url: str) -> Page:
        """The page at `url`; raises `FetchRefused` and `FetchFailed`."""
        async with self._places:
            if self._following is None:
                loaded = await trio.to_thread.run_sync(_loaded, self._limits)
                self._following = self._following or loaded
            with trio.move_on_after(self._limits.timeout_s):
                return await self._following.page(url)
            raise FetchFailed(f"{url} took longer than {self._limits.timeout_s:g} s.")


def _loaded(limits: FetchLimits) -> Following:
    """In a thread, as the libraries for it and the certificates take a while to load."""
    from actors.fetching.redirects import Following

    return Following(limits)

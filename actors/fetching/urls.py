"""URLs: those that a text names, and what of a URL is taken on.

Rule: a URL is one spelling once it is taken on: http or https, a host in ASCII, no credentials and
no fragment.
"""

from __future__ import annotations

import httpx

from actors.errors import FetchRefused

LONGEST = 4_096


def checked(text: str, *, within: httpx.URL | None = None) -> httpx.URL:
    """The URL in its one spelling, a relative one taken from `within`; raises `FetchRefused`."""
    shown = text if len(text) <= 200 else text[:199] + "…"
    if len(text) > LONGEST:
        raise FetchRefused(f"{shown} is longer than {LONGEST:,} characters.")
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
        raise FetchRefused(f"{shown} names no host that could be asked.")
    return url if url.path else url.copy_with(path="/")

"""URLs: those that a text names, and what of a URL is taken on.

Rule: a URL is one spelling once it is taken on: http or https, a host in ASCII, no credentials and
no fragment.
"""

from __future__ import annotations

import httpx

from actors.errors import FetchRefused

LONGEST = 4_096

_OTHER_SERVICES = """1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95 101 102 103 104
    109 110 111 113 115 117 119 123 135 137 139 143 161 179 389 427 465 512 513 514 515 526 530 531
    532 540 548 554 556 563 587 601 636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061
    6000 6566 6665 6666 6667 6668 6669 6679 6697 10080"""
BAD_PORTS = frozenset(map(int, _OTHER_SERVICES.split()))
"""Ports of mail and other services, which might take a request for orders of their own; no browser
asks them. Source: the Fetch standard, "Port blocking"."""


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
    if url.port in BAD_PORTS:
        raise FetchRefused(f"{shown} is not fetched: port {url.port} is not that of a web server.")
    return url.copy_with(raw_path=url.raw_path)  # http://x and http://x/ are the same.

"""Find URLs in a task description.

Rule: deterministic; each URL once, in the order of the text.
"""

from __future__ import annotations

import re

MOST = 5
"""The most URLs of a task; further ones are treated as words."""

_URL = re.compile(r"https?://[^\s<>\"“”«»`|\\^{}]{1,4000}", re.IGNORECASE)
_AFTER = ".,;:!?'’*_…"
_PAIRS = {")": "(", "]": "["}


def urls_in(text: str) -> tuple[str, ...]:
    """The first five URLs, without trailing punctuation."""
    found = (_bare(match.group()) for match in _URL.finditer(text))
    return tuple(dict.fromkeys(url for url in found if not url.endswith("://")))[:MOST]


def without_urls(text: str) -> str:
    """The text without its URLs: they say where to look, not what for."""
    return " ".join(_URL.sub(" ", text).split())


def _bare(url: str) -> str:
    """A URL without the punctuation of its sentence, and without brackets opened before it."""
    while url:
        last = url[-1]
        opening = _PAIRS.get(last)
        if last in _AFTER or (opening and url.count(last) > url.count(opening)):
            url = url[:-1]
        else:
            break
    return url

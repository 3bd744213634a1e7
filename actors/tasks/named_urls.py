"""The URLs that the text of a task names.

Rule: the same text names the same URLs, in their order, each once.
"""

from __future__ import annotations

import re

MOST = 5
"""URLs of a task; further ones are only words."""

_URL = re.compile(r"https?://[^\s<>\"“”«»`|\\^{}]{1,4000}", re.IGNORECASE)
_AFTER = ".,;:!?'’*_…"
_PAIRS = {")": "(", "]": "["}


def urls_in(text: str) -> tuple[str, ...]:
    """The first five, without the punctuation that stands behind them."""
    found = (_bare(match.group()) for match in _URL.finditer(text))
    return tuple(dict.fromkeys(url for url in found if not url.endswith("://")))[:MOST]


def _bare(url: str) -> str:
    """A URL without what belongs to the sentence: its last marks, and brackets opened before it."""
    while url:
        last = url[-1]
        opening = _PAIRS.get(last)
        if last in _AFTER or (opening and url.count(last) > url.count(opening)):
            url = url[:-1]
        else:
            break
    return url

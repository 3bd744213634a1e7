"""Documents in a prompt: data between marks that they cannot forge.

Rule: the mark is drawn from all that it encloses, and stands in none of it. What chat formats take
for a change of speaker, and what would read as a citation of ours, is broken up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256

from actors.agents.model.markup import characters, plain
from actors.tasks.evidence import Source

MOST_TITLE = 120
"""Characters of a title, and of a section, in a prompt."""

MOST_TEXT = 4_000
"""Characters of a passage in a prompt."""

_SPEAKER = re.compile(
    r"<(?=[|｜]|/?s>|<SYS>>|</SYS>>|/?(?:start|end)_of_turn>|/?(?:bos|eos)>)"
    r"|\[(?=/?INST\])|[|｜](?=>)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"\[\s*(\^?\d[\d\s,;–-]*)\]")


def as_data(text: str) -> str:
    """A text as it may stand between marks."""
    bare = _SPEAKER.sub(r"\g<0> ", characters(text))
    return _NUMBERED.sub(r"(\1)", bare).strip()


def fenced(sources: Iterable[Source]) -> tuple[str, str]:
    """The sources, each between marks and with its number; and the mark."""
    given = [(source, as_data(source.text[:MOST_TEXT])) for source in sources]
    titles = [_heading(source) for source, _ in given]
    mark = mark_for(*titles, *(text for _, text in given))
    blocks = [
        f"<<<{mark} passage {source.n}: {title}\n{text}\n{mark}>>>"
        for (source, text), title in zip(given, titles, strict=True)
    ]
    return "\n\n".join(blocks), mark


def mark_for(*texts: str) -> str:
    """A mark for these texts that stands in none of them; the same for the same texts."""
    digest = sha256("\0".join(texts).encode()).hexdigest()
    while any(digest[:12] in text for text in texts):
        digest = sha256(digest.encode()).hexdigest()
    return digest[:12]


def _heading(source: Source) -> str:
    names = (plain(name)[:MOST_TITLE] for name in (source.title, source.section) if name)
    return as_data(", ".join(names))

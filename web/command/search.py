"""What `terzetto search` prints: passages of the library, best first.

Rule: a snippet is cut around the words of the query, which are highlighted in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

from rich.console import Console
from rich.text import Text

from actors.tasks.words import telling_terms, terms, words
from web.terminal import one_line

SNIPPET_CHARACTERS = 320
_WORD = re.compile("\\d+(?:[.,]\\d+)+|(?:[^\\W_]|[\u00ad\u0300-\u036f\u064b-\u065f])+")

Span = tuple[int, int]


def matches(text: str, wanted: AbstractSet[str]) -> Iterator[Span]:
    """Where words stand whose terms are `wanted`, in any form that the library finds.

    In a run of words without blanks (Chinese, Japanese, Thai) these are single bigrams.
    """
    for word in _WORD.finditer(text):
        start, end = word.span()
        if len(words(word[0])) == 1:
            if not wanted.isdisjoint(terms(word[0])):
                yield start, end
            continue
        for at in range(start, end - 1):
            bigram = words(text[at : at + 2])
            if len(bigram) == 1 and bigram[0] in wanted:
                yield at, at + 2


def snippet(text: str, wanted: AbstractSet[str], width: int = SNIPPET_CHARACTERS) -> Text:
    """The part of `text` with the most matches, about `width` characters, matches highlighted."""
    line = one_line(text, len(text) + 1)
    places = [start for start, _ in matches(line, wanted)]
    start = _best_start(line, places, width)
    end = start + width
    if end < len(line):
        blank = line.rfind(" ", start, end)
        end = blank if blank > start else end
    shown = Text(("… " if start else "") + line[start:end] + (" …" if end < len(line) else ""))
    for first, last in matches(shown.plain, wanted):
        shown.stylize("bold yellow", first, last)
    return shown


def _best_start(line: str, places: list[int], width: int) -> int:
    if len(line) <= width or not places:
        return 0
    reach = width * 3 // 4
    best = max(places, key=lambda place: sum(place <= p < place + reach for p in places))
    lead = max(best - width // 4, 0)
    if not lead:
        return 0
    blank = line.find(" ", lead, best)
    return blank + 1 if blank >= 0 else lead


def print_results(results: list[dict[str, Any]], query: str, console: Console) -> None:
    """Print each passage with its rank, title, section, position, score and snippet."""
    wanted = frozenset(telling_terms(query))
    for rank, passage in enumerate(results, start=1):
        head = Text.assemble((f"{rank}. ", "cyan"), (one_line(passage["title"]), "bold"))
        if passage["section"]:
            head.append(f" › {one_line(passage['section'])}")
        head.append(f"  passage {passage['position']}, score {passage['score']:.3g}", style="dim")
        console.print(head, soft_wrap=True)
        console.print(snippet(passage["text"], wanted))
        console.print()

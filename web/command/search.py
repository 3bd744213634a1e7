"""What `terzetto search` prints: passages of the library, best first.

Rule: a snippet is cut around the words of the query, which are highlighted in it.
"""

from __future__ import annotations

import re
from typing import Any

from rich.console import Console
from rich.text import Text

from web.command.output import one_line

SNIPPET_CHARACTERS = 320
_SUFFIX = re.compile(r"(?<=\w{3})(?:ies|es|ing|ed|s|y|e)$")


def query_pattern(query: str) -> re.Pattern[str] | None:
    """A pattern for the words of the query and their other forms; none if it has no words.

    The library finds words by their stems, so that "caches" finds "caching". So the pattern matches
    every word that begins like a word of the query.
    """
    words = {_SUFFIX.sub("", word) for word in re.findall(r"\w{2,}", query.lower())}
    if not words:
        return None
    stems = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"\b(?:{stems})\w{{0,6}}\b", re.IGNORECASE)


def snippet(text: str, pattern: re.Pattern[str] | None, width: int = SNIPPET_CHARACTERS) -> Text:
    """The part of `text` with the most matches, about `width` characters, matches highlighted."""
    line = one_line(text, len(text) + 1)
    start = _best_start(line, pattern, width)
    end = start + width
    if end < len(line):
        end = max(line.rfind(" ", start, end), start + 1)
    shown = Text(("… " if start else "") + line[start:end] + (" …" if end < len(line) else ""))
    if pattern is not None:
        shown.highlight_regex(pattern, "bold yellow")
    return shown


def _best_start(line: str, pattern: re.Pattern[str] | None, width: int) -> int:
    places = [match.start() for match in pattern.finditer(line)] if pattern else []
    if len(line) <= width or not places:
        return 0
    reach = width * 3 // 4
    best = max(places, key=lambda place: sum(place <= p < place + reach for p in places))
    lead = max(best - width // 4, 0)
    return line.find(" ", lead, best) + 1 if lead else 0


def print_results(results: list[dict[str, Any]], query: str, console: Console) -> None:
    """Print each passage with its rank, title, section, position, score and snippet."""
    pattern = query_pattern(query)
    for rank, passage in enumerate(results, start=1):
        head = Text.assemble((f"{rank}. ", "cyan"), (one_line(passage["title"]), "bold"))
        if passage["section"]:
            head.append(f" › {one_line(passage['section'])}")
        head.append(f"  passage {passage['position']}, score {passage['score']:.3g}", style="dim")
        console.print(head, soft_wrap=True)
        console.print(snippet(passage["text"], pattern))
        console.print()

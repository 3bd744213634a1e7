"""Files with queries, judgements and documents, as TREC and BEIR write them.

    queries      {"_id": "q1", "text": "..."} a line, q1 TAB text, or TREC's <top> elements
    judgements   q1 0 d1 2 (TREC), or q1 TAB d1 TAB 2 under a heading or none (BEIR)
    documents    {"_id": "d1", "title": "...", "text": "..."} a line, or TREC's <DOC> elements

Rule: a file that cannot be read as one of these raises `InvalidRequest` with its name, the line and
what is expected there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from actors.errors import InvalidRequest
from web.command.eval.judged_entries import entries, is_element, numbered_lines, within

_LABEL = re.compile(r"^\s*(?:(?:Number|Topic):\s*)?|\s+$", re.IGNORECASE)

Judgements = dict[str, dict[str, float]]
"""For each query the grade of each judged document."""


@dataclass(frozen=True, slots=True)
class JudgedDocument:
    """A document of a collection."""

    name: str
    title: str
    text: str


def read_queries(path: Path) -> dict[str, str]:
    """The text of each query by its id."""
    queries: dict[str, str] = {}
    for place, entry in entries(path, "top"):
        name, text = _query(place, entry)
        if name in queries:
            raise InvalidRequest(f"{place}: query {name} was there before.")
        if not text.strip():
            raise InvalidRequest(f"{place}: query {name} has no text.")
        queries[name] = text
    if not queries:
        raise InvalidRequest(f"{path} holds no queries.")
    return queries


def _query(place: str, entry: str) -> tuple[str, str]:
    if entry.startswith("{"):
        name, text = _texts(place, entry, "_id", "text")
        return name, text
    if is_element(entry, "top"):
        name, text = (_LABEL.sub("", within(entry, tag)) for tag in ("num", "title"))
        if name and text:
            return name, " ".join(text.split())
        raise InvalidRequest(f"{place}: expected <num> and <title> in <top>.")
    name, tab, text = entry.partition("\t")
    if not tab:
        raise InvalidRequest(
            f'{place}: expected {{"_id": ..., "text": ...}} (BEIR), <top> (TREC), or an id, a tab '
            "and the query."
        )
    return name, text


def read_judgements(path: Path) -> Judgements:
    """The grades of documents for each query; they may be fractions."""
    judgements: Judgements = {}
    for number, (place, line) in enumerate(numbered_lines(path)):
        fields = line.split("\t") if "\t" in line else line.split()
        grade = _number(fields[-1]) if len(fields) in (3, 4) else None
        if grade is None:
            if number == 0 and len(fields) == 3 and fields[-1].isalpha() and fields[1] != "0":
                continue  # BEIR's heading: query-id, corpus-id, score.
            raise InvalidRequest(
                f"{place}: expected a query id, 0, a document id and a grade (TREC), or a query id, "
                "a document id and a grade with tabs between them (BEIR)."
            )
        graded = judgements.setdefault(fields[0], {})
        if graded.setdefault(fields[-2], grade) != grade:
            raise InvalidRequest(f"{place}: {fields[-2]} had another grade for this query before.")
    if not judgements:
        raise InvalidRequest(f"{path} holds no judgements.")
    return judgements


def read_documents(path: Path) -> Iterator[JudgedDocument]:
    """The documents of a collection, each with a name of its own."""
    names: set[str] = set()
    for place, entry in entries(path, "doc"):
        if is_element(entry, "doc"):
            title = " ".join(within(entry, "title", "headline", "hl", "ti").split())
            name, text = within(entry, "docno").strip(), within(entry, "text")
        else:
            name, title, text = _texts(place, entry, "_id", "title", "text")
        if not name or name in names:
            what = f"document {name} was there before" if name else "expected an id (<DOCNO>, _id)"
            raise InvalidRequest(f"{place}: {what}.")
        names.add(name)
        yield JudgedDocument(name, title, text)
    if not names:
        raise InvalidRequest(f"{path} holds no documents.")


def _texts(place: str, line: str, *names: str) -> list[str]:
    """These members of the JSON object on a line; a title may be missing."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        or_else = " (BEIR), or <DOC> (TREC)" if "title" in names else ""
        raise InvalidRequest(f"{place}: expected a JSON object with {', '.join(names)}{or_else}.")
    texts: list[str] = []
    for name in names:
        text = found.get(name, "" if name == "title" else None)
        if not isinstance(text, str):
            raise InvalidRequest(f'{place}: "{name}" must be there and be a string.')
        texts.append(text)
    return texts


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None

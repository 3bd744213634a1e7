"""Files with queries, judgements and documents, as TREC and BEIR write them.

    queries      {"_id": "q1", "text": "..."} a line, or q1 TAB text
    judgements   q1 0 d1 2 (TREC), or q1 TAB d1 TAB 2 under a heading or none (BEIR)
    documents    {"_id": "d1", "title": "...", "text": "..."} a line

Rule: a file that cannot be read as one of these raises `InvalidRequest` with its name, the line and
what is expected there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from actors.errors import InvalidRequest

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
    for place, line in numbered_lines(path):
        if line.startswith("{"):
            name, text = _texts(place, line, "_id", "text")
        else:
            name, tab, text = line.partition("\t")
            if not tab:
                raise InvalidRequest(
                    f'{place}: expected {{"_id": ..., "text": ...}} or an id, a tab and the query.'
                )
        if name in queries:
            raise InvalidRequest(f"{place}: query {name} was there before.")
        queries[name] = text
    return queries


def read_judgements(path: Path) -> Judgements:
    """The grades of documents for each query; they may be fractions."""
    judgements: Judgements = {}
    for number, (place, line) in enumerate(numbered_lines(path)):
        fields = line.split("\t") if "\t" in line else line.split()
        grade = _number(fields[-1]) if len(fields) in (3, 4) else None
        if grade is None:
            if number == 0 and len(fields) == 3:
                continue  # BEIR's heading: query-id, corpus-id, score.
            raise InvalidRequest(
                f"{place}: expected a query id, 0, a document id and a grade (TREC), or a query id, "
                "a document id and a grade with tabs between them (BEIR)."
            )
        graded = judgements.setdefault(fields[0], {})
        if graded.setdefault(fields[-2], grade) != grade:
            raise InvalidRequest(f"{place}: {fields[-2]} had another grade for this query before.")
    return judgements


def read_documents(path: Path) -> Iterator[JudgedDocument]:
    """The documents of a collection."""
    for place, line in numbered_lines(path):
        name, title, text = _texts(place, line, "_id", "title", "text")
        yield JudgedDocument(name, title, text)


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, and where it stands."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", line.strip("\r\n")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path} is not UTF-8 text.") from None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from None


def _texts(place: str, line: str, *names: str) -> list[str]:
    """These members of the JSON object on a line; a title may be missing."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidRequest(f"{place}: expected a JSON object with {', '.join(names)}.")
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

"""The input files of `terzetto eval`: queries, judgements and documents; tasks and expectations.

`terzetto eval retrieval` reads the formats of TREC and BEIR:

    queries      {"_id": "q1", "text": "..."} a line, q1 TAB text, or TREC's <top> elements
    judgements   q1 0 d1 2 (TREC), or q1 TAB d1 TAB 2 with or without a heading (BEIR)
    documents    {"_id": "d1", "title": "...", "text": "..."} a line, or TREC's <DOC> elements

    <top>                                  <DOC>
    <num> Number: 301                      <DOCNO> FT911-3 </DOCNO>
    <title> organized crime                <TEXT> ... </TEXT>
    </top>                                 </DOC>

`terzetto eval answers` reads JSON lines, so that an error can name the line:

    {"id": "t1", "task": "How do retries do harm?",
     "points": [["retry budget", "/budget .{0,20}retries/"]],
     "forbidden": [["retries reduce load"]],
     "topics": [["retries"]]}

A good report makes all `points` and no `forbidden` claim; the plan asks about all `topics`. Each is
a list of wordings, and one wording is enough. A wording is a phrase, which matches at the start of
a word, or a regular expression between slashes. Case, line breaks and the number of spaces make no
difference. A task without points is one on which the library has nothing.

Rule: a file in another format raises `InvalidRequest` with its name, the line and what is expected
there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from math import isfinite
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from actors.errors import InvalidRequest

_TAG = re.compile(r"<[^<>]*>")
_LABEL = re.compile(r"^\s*(?:(?:Number|Topic):\s*)?|\s+$", re.IGNORECASE)
_TYPOGRAPHY = str.maketrans("‘’“”", "''\"\"")

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Wordings = Annotated[tuple[_Words, ...], Field(min_length=1)]

Judgements = dict[str, dict[str, float]]
"""For each query the grade of each judged document."""


@dataclass(frozen=True, slots=True)
class JudgedDocument:
    """A document of a collection."""

    name: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Expectation:
    """A statement in several wordings; `name` is the first wording as written."""

    name: str
    wordings: tuple[re.Pattern[str], ...]

    def matches(self, text: str) -> bool:
        """Whether a text that `normalized` returned contains one of the wordings."""
        return any(wording.search(text) for wording in self.wordings)


@dataclass(frozen=True, slots=True)
class JudgedTask:
    """A task, and what is expected of its plan and its report."""

    name: str
    text: str
    points: tuple[Expectation, ...]
    forbidden: tuple[Expectation, ...]
    topics: tuple[Expectation, ...]


# --- Queries, judgements and documents ------------------------------------------------------------


def read_queries(path: Path) -> dict[str, str]:
    """The text of each query by its id."""
    queries: dict[str, str] = {}
    for place, entry in _entries(path, "top"):
        name, text = _query(place, entry)
        if name in queries:
            raise InvalidRequest(f"{place}: query {name} appears twice.")
        if not text.strip():
            raise InvalidRequest(f"{place}: query {name} has no text.")
        queries[name] = text
    if not queries:
        raise InvalidRequest(f"{path} contains no queries.")
    return queries


def _query(place: str, entry: str) -> tuple[str, str]:
    if entry.startswith("{"):
        name, text = _members(place, entry, "_id", "text")
        return name, text
    if _is_element(entry, "top"):
        name, text = (_LABEL.sub("", _text_in(entry, tag)) for tag in ("num", "title"))
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
    for number, (place, line) in enumerate(_numbered_lines(path)):
        fields = line.split("\t") if "\t" in line else line.split()
        grade = _number(fields[-1]) if len(fields) in (3, 4) else None
        if grade is None:
            if number == 0 and len(fields) == 3 and fields[-1].isalpha() and fields[1] != "0":
                continue  # BEIR's heading: query-id, corpus-id, score.
            raise InvalidRequest(
                f"{place}: expected a query id, 0, a document id and a grade (TREC), or a query id, "
                "a document id and a grade with tabs between them (BEIR)."
            )
        grades = judgements.setdefault(fields[0], {})
        if grades.setdefault(fields[-2], grade) != grade:
            raise InvalidRequest(f"{place}: {fields[-2]} has two grades for this query.")
    if not judgements:
        raise InvalidRequest(f"{path} contains no judgements.")
    return judgements


def read_documents(path: Path) -> Iterator[JudgedDocument]:
    """The documents of a collection, each with a different name."""
    names: set[str] = set()
    for place, entry in _entries(path, "doc"):
        if _is_element(entry, "doc"):
            title = " ".join(_text_in(entry, "title", "headline", "hl", "ti").split())
            name, text = _text_in(entry, "docno").strip(), _text_in(entry, "text")
        else:
            name, title, text = _members(place, entry, "_id", "title", "text")
        if not name or name in names:
            what = f"document {name} appears twice" if name else "expected an id (<DOCNO>, _id)"
            raise InvalidRequest(f"{place}: {what}.")
        names.add(name)
        yield JudgedDocument(name, title, text)
    if not names:
        raise InvalidRequest(f"{path} contains no documents.")


def _members(place: str, line: str, *names: str) -> list[str]:
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
            raise InvalidRequest(f'{place}: "{name}" must be present and a string.')
        texts.append(text)
    return texts


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) else None


# --- Tasks ----------------------------------------------------------------------------------------


class _TaskLine(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: _Words
    task: _Words
    points: tuple[_Wordings, ...]
    forbidden: tuple[_Wordings, ...] = ()
    topics: tuple[_Wordings, ...] = ()


def read_tasks(path: Path) -> list[JudgedTask]:
    """The tasks of the file in its order, at least one."""
    tasks: dict[str, JudgedTask] = {}
    for place, line in _numbered_lines(path):
        try:
            read = _TaskLine.model_validate_json(line)
        except ValidationError as error:
            raise InvalidRequest(f"{place}: {_first_problem(error)}.") from None
        if read.id in tasks:
            raise InvalidRequest(f"{place}: task {read.id} appears twice.")
        tasks[read.id] = JudgedTask(
            read.id,
            read.task,
            _expectations(place, read.points),
            _expectations(place, read.forbidden),
            _expectations(place, read.topics),
        )
    if not tasks:
        raise InvalidRequest(
            f'{path} contains no tasks. Expected: {{"id": ..., "task": ..., "points": ...}}.'
        )
    return list(tasks.values())


def normalized(text: str) -> str:
    """The text on one line with single spaces and straight quotes, as `Expectation` needs it."""
    return " ".join(text.translate(_TYPOGRAPHY).split())


def _expectations(place: str, given: tuple[tuple[str, ...], ...]) -> tuple[Expectation, ...]:
    return tuple(Expectation(w[0], tuple(_pattern(place, one) for one in w)) for w in given)


def _pattern(place: str, wording: str) -> re.Pattern[str]:
    wording = normalized(wording)
    is_expression = len(wording) > 2 and wording[0] == wording[-1] == "/"
    source = wording[1:-1] if is_expression else re.escape(wording)
    start = r"(?<!\w)" if not is_expression and wording[0].isalnum() else ""
    try:
        return re.compile(start + source, re.IGNORECASE)
    except re.error as error:
        raise InvalidRequest(f"{place}: {wording} is no regular expression: {error}.") from None


def _first_problem(error: ValidationError) -> str:
    """The first problem and its place: "points[0][1]: ..."."""
    first = error.errors()[0]
    where = "".join(f"[{p}]" if isinstance(p, int) else str(p) for p in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]


# --- Lines and elements ---------------------------------------------------------------------------


def _numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, after its place: "FILE, line N"."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", line.strip("\r\n")
    except UnicodeDecodeError:
        what = "Unpack it" if path.suffix in (".gz", ".zip", ".xz", ".bz2") else "Convert it"
        raise InvalidRequest(f"{path} is not UTF-8 text. {what} first.") from None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from None


def _entries(path: Path, tag: str) -> Iterator[tuple[str, str]]:
    """Each line or element of this name, after its place. The lines of an element are joined."""
    start, element = "", list[str]()
    for place, line in _numbered_lines(path):
        if not element and not _is_element(line, tag):
            yield place, line
            continue
        start = start if element else place
        element.append(line)
        if f"</{tag}>" in line.lower():
            yield start, "\n".join(element)
            element = []
    if element:
        raise InvalidRequest(f"{start}: expected </{tag}> in the lines after this.")


def _is_element(entry: str, tag: str) -> bool:
    return entry.lstrip().lower().startswith(f"<{tag}>")


def _text_in(entry: str, *tags: str) -> str:
    """The text of the elements of these names in an element; their end tags may be missing."""
    names = "|".join(tags)
    found = re.findall(rf"(?is)<({names})>(.*?)(?=</?(?:\1|num|title|desc|narr|top)>|\Z)", entry)
    return "\n".join(unescape(_TAG.sub(" ", text)).strip() for _, text in found)

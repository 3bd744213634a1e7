"""Files with tasks and what is expected of their reports: JSON lines.

    {"id": "t1", "task": "How do retries do harm?",
     "points": [["retry budget", "/budget .{0,20}retries/"]],
     "forbidden": [["retries reduce load"]],
     "topics": [["retries"]]}

`points` must stand in a good report, `forbidden` claims must not, and `topics` are what the plan
asks about. Each is a list of wordings, of which one is enough. A wording is a phrase, which begins
where a word does, or a regular expression between slashes. Case, line breaks and the number of
spaces make no difference. A task without points is one on which the library has nothing.

JSON lines, as for queries: whatever is wrong with a task is on the line that the error names, and a
set may be put together by a program.

Rule: a file that cannot be read as this raises `InvalidRequest` with its name, the line and what is
expected there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from actors.errors import InvalidRequest
from web.command.eval.judged_entries import numbered_lines

_Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
_Wordings = Annotated[tuple[_Words, ...], Field(min_length=1)]
_TYPOGRAPHY = str.maketrans("‘’“”", "''\"\"")


@dataclass(frozen=True, slots=True)
class Expected:
    """Something that may be said in several wordings; `name` is the first of them as written."""

    name: str
    wordings: tuple[re.Pattern[str], ...]

    def stands_in(self, text: str) -> bool:
        """Whether a text in which `evened` has evened the spaces says it."""
        return any(wording.search(text) for wording in self.wordings)


@dataclass(frozen=True, slots=True)
class JudgedTask:
    """A task, and what is expected of its plan and its report."""

    name: str
    text: str
    points: tuple[Expected, ...]
    forbidden: tuple[Expected, ...]
    topics: tuple[Expected, ...]


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    id: _Words
    task: _Words
    points: tuple[_Wordings, ...]
    forbidden: tuple[_Wordings, ...] = ()
    topics: tuple[_Wordings, ...] = ()


def read_tasks(path: Path) -> list[JudgedTask]:
    """The tasks of the file in its order, one at least."""
    tasks: dict[str, JudgedTask] = {}
    for place, line in numbered_lines(path):
        try:
            read = _Line.model_validate_json(line)
        except ValidationError as error:
            raise InvalidRequest(f"{place}: {_told(error)}.") from None
        if read.id in tasks:
            raise InvalidRequest(f"{place}: task {read.id} was there before.")
        tasks[read.id] = JudgedTask(
            read.id,
            read.task,
            _expected(place, read.points),
            _expected(place, read.forbidden),
            _expected(place, read.topics),
        )
    if not tasks:
        raise InvalidRequest(
            f'{path} has no tasks, such as {{"id": ..., "task": ..., "points": …}}.'
        )
    return list(tasks.values())


def evened(text: str) -> str:
    """The text on one line with single spaces and straight quotes, as `Expected` wants it."""
    return " ".join(text.translate(_TYPOGRAPHY).split())


def _expected(place: str, given: tuple[tuple[str, ...], ...]) -> tuple[Expected, ...]:
    return tuple(Expected(w[0], tuple(_pattern(place, one) for one in w)) for w in given)


def _pattern(place: str, wording: str) -> re.Pattern[str]:
    wording = evened(wording)
    is_expression = len(wording) > 2 and wording[0] == wording[-1] == "/"
    source = wording[1:-1] if is_expression else re.escape(wording)
    begins = r"(?<!\w)" if not is_expression and wording[0].isalnum() else ""
    try:
        return re.compile(begins + source, re.IGNORECASE)
    except re.error as error:
        raise InvalidRequest(f"{place}: {wording} is no regular expression: {error}.") from None


def _told(error: ValidationError) -> str:
    """The first thing that is wrong, and where: points[0][1]."""
    first = error.errors()[0]
    where = "".join(f"[{p}]" if isinstance(p, int) else str(p) for p in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]

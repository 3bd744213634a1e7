"""What agents hand to one another: passages, evidence, findings, and the report's sources.

Rule: these are the private outputs of steps. They are stored with the step that made them, so
fields are only ever added, with a default.
"""

from __future__ import annotations

from dataclasses import dataclass

from actors.errors import ActorError
from actors.tasks.plan import Question


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of about 200 words of a document, with its place in it.

    `section` is the heading it stands under ("" for none) and `position` its number in the
    document, from 1. `score` is higher for a better match, and only comparable within one search.
    """

    document_id: str
    title: str
    section: str
    position: int
    text: str
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What there is on one question, best first; `sample` if it is the sample library's.

    `missed` tells of the sources that could not be read, so that this is without them.
    """

    question: Question
    passages: tuple[Passage, ...] = ()
    sample: bool = False
    missed: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence worth citing, word for word from `Findings.sources[source]`."""

    text: str
    source: int
    score: float


@dataclass(frozen=True, slots=True)
class Section:
    """The findings on one question, in the order in which they read best. May be empty.

    `in_answer` is true if the answer cites what was found on it, which then is not said again.
    """

    question: Question
    findings: tuple[Finding, ...] = ()
    in_answer: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What the evidence says, weighed: a short answer, then a section for each question.

    `sources` are the passages that at least one finding cites, in the order of first citation, so
    that the source at index 0 is cited as [1]. No sentence stands twice.
    """

    answer: tuple[Finding, ...]
    sections: tuple[Section, ...]
    sources: tuple[Passage, ...]
    sample: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A passage with the number under which the report cites it, from 1."""

    n: int
    document_id: str
    title: str
    section: str
    position: int
    text: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the writer answers once its text has been streamed."""

    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it stands in events and status: a stable code and a sentence for people."""

    code: str
    message: str

    @classmethod
    def of(cls, error: ActorError) -> Failure:
        """The public form of an actor's error."""
        return cls(error.code, error.message)

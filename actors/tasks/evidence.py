"""Outputs of the agents: passages, evidence, findings, and the report's sources.

Rule: these are stored as the private outputs of steps, so fields are only ever added, with a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from actors.tasks.failure import Failure
from actors.tasks.plan import Question
from actors.usage import NO_USAGE, Usage


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

    @property
    def key(self) -> tuple[str, int]:
        """Identifies the passage: its document, and its position there."""
        return self.document_id, self.position


def each_once(passages: Iterable[Passage]) -> tuple[Passage, ...]:
    """The passages in their order, without those that came before."""
    first: dict[tuple[str, int], Passage] = {}
    for passage in passages:
        first.setdefault(passage.key, passage)
    return tuple(first.values())


@dataclass(frozen=True, slots=True)
class Evidence:
    """Passages on one question, best first; `sample` if they are the sample library's.

    `missed` names the sources that could not be read.
    """

    question: Question
    passages: tuple[Passage, ...] = ()
    sample: bool = False
    missed: tuple[Failure, ...] = ()
    usage: Usage = NO_USAGE

    @property
    def degraded(self) -> Failure | None:
        """All of `missed` as one failure."""
        if not self.missed:
            return None
        return Failure(self.missed[0].code, " ".join(one.message for one in self.missed))


def by_question(evidence: Iterable[Evidence], context: tuple[Passage, ...]) -> tuple[Evidence, ...]:
    """One `Evidence` per question: from the library, then from tools, then from the `context`."""
    evidence = list(evidence)
    from_tools: dict[str, list[Passage]] = {}
    for found in evidence:
        if found.question.of:
            from_tools.setdefault(found.question.of, []).extend(found.passages)
    return tuple(
        replace(found, passages=each_once((*found.passages, *more, *context)))
        for found in evidence
        if not found.question.of
        for more in [from_tools.get(found.question.step_id, [])]
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence worth citing, word for word from `Findings.sources[source]`.

    With what belongs to it, word for word too: the `term` that it defines, and the `listing` or the
    `items` of the list that stand below it.
    """

    text: str
    source: int
    score: float
    term: str = ""
    listing: str = ""
    items: tuple[str, ...] = ()


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

    `passages` are what a language model may write from, `sources` first and under the same numbers;
    empty if none is to write. `degraded` says why a model's part was done without one.
    """

    answer: tuple[Finding, ...]
    sections: tuple[Section, ...]
    sources: tuple[Passage, ...]
    sample: bool = False
    passages: tuple[Passage, ...] = ()
    degraded: Failure | None = None
    usage: Usage = NO_USAGE


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
class CitationFigures:
    """How the text of a model stands to its sources, and what was taken out of it."""

    cited_sentences: int = 0
    uncited_sentences: int = 0
    removed_citations: int = 0
    removed_links: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What the writer answers once its text has been streamed.

    `sources` are those that the text cites, `citations` the figures of a model's text (None for
    one that was put together from the sources). `degraded` says why it was, if a model should
    have written it, or what else is wrong with the text.
    """

    sources: tuple[Source, ...]
    citations: CitationFigures | None = None
    degraded: Failure | None = None
    usage: Usage = NO_USAGE

"""Outputs of the agents: passages, evidence, findings, and the report's sources.

Rule: these are stored as the private outputs of steps, so fields are only ever added, with a default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from actors.tasks.failure import Failure
from actors.tasks.plan import Question
from actors.usage import NO_USAGE, Usage


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of about 200 words of a document, with its place in it.

    `section` is the heading it stands under ("" for none) and `position` its number in the
    document, from 1; `start` and `end` are its place in the text of the document, in characters.
    `score` is higher for a better match, and only comparable within one search.
    """

    document_id: str
    title: str
    section: str
    position: int
    text: str
    score: float = 0.0
    start: int = 0
    end: int = 0

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


ExcerptKind = Literal["paragraph", "list", "row", "code", "definition", "pair"]
Origin = Literal["library", "page", "tool", "context"]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A unit that a report may quote whole: see `actors.library.excerpts`.

    `position` is that of its passage. `passage_score` and `score` are the BM25 scores of the passage
    and of the excerpt itself, higher for a better match. `lead`: it opens its section. `similarity`
    to the question, 0 for none and 1 for the same text, is an encoder's; None without one.
    """

    document_id: str
    title: str
    headings: tuple[str, ...]
    position: int
    start: int
    end: int
    kind: ExcerptKind
    text: str
    lead: bool = False
    passage_score: float = 0.0
    score: float = 0.0
    origin: Origin = "library"
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Passages and excerpts on one question, best first; `sample` if they are the sample library's.

    `weights` holds the terms of the question, each with its weight (rarity in the library times
    importance), and `units` the number of excerpts in the library. `missed` names the sources that
    could not be read, `unknown` the words of the question that stand nowhere in the library.
    """

    question: Question
    passages: tuple[Passage, ...] = ()
    sample: bool = False
    missed: tuple[Failure, ...] = ()
    usage: Usage = NO_USAGE
    excerpts: tuple[Excerpt, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    units: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def degraded(self) -> Failure | None:
        """All of `missed` as one failure."""
        if not self.missed:
            return None
        return Failure(self.missed[0].code, " ".join(one.message for one in self.missed))


@dataclass(frozen=True, slots=True)
class Finding:
    """An excerpt to quote, word for word from `Findings.sources[source]` or the text around it."""

    text: str
    source: int
    score: float = 0.0
    kind: ExcerptKind = "paragraph"


@dataclass(frozen=True, slots=True)
class Section:
    """The findings on one question, in the order of the report. May be empty.

    `answers` is false if they are only the closest passages. `missed` names what could not be read
    or asked for this question, `unknown` words that stand nowhere in the library, if they are most of
    the question.
    """

    question: Question
    findings: tuple[Finding, ...] = ()
    answers: bool = True
    missed: tuple[Failure, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What the report says: a section for each question.

    `sources` are the passages that the findings cite, in the order of first citation, so that the
    source at index 0 is cited as [1]. `passages` are what a language model may write from, those of
    `sources` first; empty if none is to write. `sample_documents` are the ids of those of them that
    are the sample library's. `degraded` says why a model's part was done without one.
    """

    sections: tuple[Section, ...] = ()
    sources: tuple[Passage, ...] = ()
    sample: bool = False
    passages: tuple[Passage, ...] = ()
    degraded: Failure | None = None
    usage: Usage = NO_USAGE
    sample_documents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A passage with the number under which the report cites it, from 1."""

    n: int
    document_id: str
    title: str
    section: str
    position: int
    text: str
    start: int = 0
    end: int = 0


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

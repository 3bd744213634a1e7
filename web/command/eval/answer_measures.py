"""How good a report is: what it says and must not say, its citations, and the plan behind it.

Citations are measured as ALCE does: T. Gao, H. Yen, J. Yu and D. Chen, "Enabling Large Language
Models to Generate Text with Citations", EMNLP 2023. Groundedness is its citation recall: the share
of statements that are supported by all that they cite together; what cites nothing is not
supported. Precision is its citation precision: the share of citations that count for something.
One counts if its statement is supported, and if either it supports that alone, or the others do not
do so without it. Where ALCE asks a language model whether a passage entails a sentence, words are
compared here: see `web.command.eval.lexical_support` for what that misses.

Rule: pure, shares are from 0 to 1, and None where there is nothing to take a share of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from actors.tasks.evidence import Source
from web.command.eval.judged_tasks import Expected, JudgedTask, evened
from web.command.eval.lexical_support import NOTHING, Said, closest, said
from web.command.eval.report_statements import Reading, Statement, read_report


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a task: "completed", "degraded", or why not; its plan, report and time."""

    ended: str
    seconds: float
    questions: tuple[str, ...] = ()
    report: str = ""
    sources: tuple[Source, ...] = ()

    @property
    def completed(self) -> bool:
        """Whether there is a report."""
        return self.ended in ("completed", "degraded")


@dataclass(frozen=True, slots=True)
class JudgedStatement:
    """A statement, whether what it cites supports it, and which of its citations count."""

    statement: Statement
    supported: bool
    counting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Measures:
    """A task's figures. What is missed, said or needless is named, to be read."""

    task: JudgedTask
    outcome: Outcome
    statements: tuple[JudgedStatement, ...]
    missed_points: tuple[str, ...]
    said_forbidden: tuple[str, ...]
    missed_topics: tuple[str, ...]
    needless_questions: tuple[str, ...]
    admits_nothing: bool | None

    @property
    def points(self) -> float | None:
        """Recall: the share of the points that the report makes."""
        return _without(self.missed_points, self.task.points)

    @property
    def topics(self) -> float | None:
        """The share of the topics that some question of the plan names."""
        return _without(self.missed_topics, self.task.topics)

    @property
    def coverage(self) -> float | None:
        """The share of statements with a citation."""
        return _share([bool(judged.statement.cites) for judged in self.statements])

    @property
    def groundedness(self) -> float | None:
        """The share of statements supported by what they cite."""
        return _share([judged.supported for judged in self.statements])

    @property
    def precision(self) -> float | None:
        """The share of citations that count."""
        every = [n in j.counting for j in self.statements for n in j.statement.cites]
        return _share(every)


@dataclass(frozen=True, slots=True)
class Overall:
    """The figures of all tasks: means over the tasks that have one, and counts.

    Of `with_nothing` tasks on which the library has nothing, `admitted` reports say so, and state
    nothing else.
    """

    tasks: int
    completed: int
    topics: float | None
    questions: float
    needless: int
    points: float | None
    forbidden: int
    with_nothing: int
    admitted: int
    coverage: float | None
    precision: float | None
    groundedness: float | None
    seconds_p50: float
    seconds_worst: float


def measured(task: JudgedTask, outcome: Outcome) -> Measures:
    """All figures of one task. One that did not complete has made no points."""
    reading = read_report(outcome.report) if outcome.completed else Reading((), False)
    text = evened(" ".join(statement.text for statement in reading.statements))
    asked = [evened(question) for question in outcome.questions]
    needless = [q for q in asked if task.topics and not any(t.stands_in(q) for t in task.topics)]
    return Measures(
        task,
        outcome,
        judged(reading.statements, outcome.sources),
        _absent(task.points, [text]),
        tuple(claim.name for claim in task.forbidden if claim.stands_in(text)),
        _absent(task.topics, asked),
        tuple(needless),
        None if task.points else reading.says_nothing and not reading.statements,
    )


def judged(
    statements: Iterable[Statement], sources: Iterable[Source]
) -> tuple[JudgedStatement, ...]:
    """Each statement held against the sources that it cites; a number of no source is none."""
    numbered = {source.n: source for source in sources}
    found = []
    for statement in statements:
        meant = said(statement.text)
        cited = {n: closest(numbered[n], meant) for n in statement.cites if n in numbered}
        supported = _together(cited.values()).supports(meant)
        counting = [n for n in cited if supported and _counts(n, cited, meant)]
        found.append(JudgedStatement(statement, supported, tuple(counting)))
    return tuple(found)


def overall(measures: Sequence[Measures]) -> Overall:
    """The figures over all tasks, of which there must be one."""
    seconds = [one.outcome.seconds for one in measures]
    without = [one.admits_nothing for one in measures if one.admits_nothing is not None]
    return Overall(
        tasks=len(measures),
        completed=sum(one.outcome.completed for one in measures),
        topics=_mean(one.topics for one in measures),
        questions=mean(len(one.outcome.questions) for one in measures),
        needless=sum(len(one.needless_questions) for one in measures),
        points=_mean(one.points for one in measures),
        forbidden=sum(len(one.said_forbidden) for one in measures),
        with_nothing=len(without),
        admitted=sum(without),
        coverage=_mean(one.coverage for one in measures),
        precision=_mean(one.precision for one in measures),
        groundedness=_mean(one.groundedness for one in measures),
        seconds_p50=median(seconds),
        seconds_worst=max(seconds),
    )


def _counts(n: int, cited: dict[int, Said], meant: Said) -> bool:
    others = _together(words for other, words in cited.items() if other != n)
    return cited[n].supports(meant) or not others.supports(meant)


def _together(words: Iterable[Said]) -> Said:
    whole = NOTHING
    for one in words:
        whole |= one
    return whole


def _absent(expected: Iterable[Expected], texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(e.name for e in expected if not any(e.stands_in(text) for text in texts))


def _without(missed: tuple[str, ...], every: tuple[Expected, ...]) -> float | None:
    return (len(every) - len(missed)) / len(every) if every else None


def _share(found: Sequence[bool]) -> float | None:
    return sum(found) / len(found) if found else None


def _mean(found: Iterable[float | None]) -> float | None:
    there = [one for one in found if one is not None]
    return mean(there) if there else None

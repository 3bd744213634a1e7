"""Measure a report: the points that it makes, forbidden claims, its citations and its plan.

Citations are measured as ALCE does: T. Gao, H. Yen, J. Yu and D. Chen, "Enabling Large Language
Models to Generate Text with Citations", EMNLP 2023. Groundedness is its citation recall: the share
of statements that are supported by all their citations together; a statement without citations is
unsupported. Precision is its citation precision: the share of citations that count. A citation
counts if its statement is supported, and either it supports the statement alone or the other
citations do not support it without this one. ALCE asks a language model whether a passage entails a
sentence. Here words are compared: `web.command.eval.statements` says what that misses.

Rule: pure functions. Shares are from 0 to 1, and None where there is nothing to take a share of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from actors.tasks.evidence import Source
from web.command.eval.judged_files import Expectation, JudgedTask, normalized
from web.command.eval.statements import (
    ReportStatements,
    Statement,
    TextStems,
    best_window,
    read_report,
)

OPENING_WORDS = 120
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """How a task ended ("completed", "degraded" or an error code), its plan, report and time."""

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
    """A statement, whether its citations support it, and which of them count."""

    statement: Statement
    supported: bool
    counting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnswerMeasures:
    """The measures of one task. Missed points and topics and the like are listed by name.

    `late_points` are those that the opening of the report does not make. `denies`: the report begins
    with that there is nothing, though the task has points.
    """

    task: JudgedTask
    outcome: TaskOutcome
    statements: tuple[JudgedStatement, ...]
    missed_points: tuple[str, ...]
    said_forbidden: tuple[str, ...]
    missed_topics: tuple[str, ...]
    needless_questions: tuple[str, ...]
    admits_nothing: bool | None
    denies: bool
    words: int
    late_points: tuple[str, ...]

    @property
    def early_points(self) -> float | None:
        """The share of the points that the first `OPENING_WORDS` words of the report make."""
        return _share_made(self.late_points, self.task.points)

    @property
    def points(self) -> float | None:
        """Recall: the share of the points that the report makes."""
        return _share_made(self.missed_points, self.task.points)

    @property
    def topics(self) -> float | None:
        """The share of the topics that some question of the plan names."""
        return _share_made(self.missed_topics, self.task.topics)

    @property
    def coverage(self) -> float | None:
        """The share of statements with a citation."""
        return _share([bool(judged.statement.cites) for judged in self.statements])

    @property
    def groundedness(self) -> float | None:
        """The share of statements that their citations support."""
        return _share([judged.supported for judged in self.statements])

    @property
    def precision(self) -> float | None:
        """The share of citations that count."""
        every = [n in j.counting for j in self.statements for n in j.statement.cites]
        return _share(every)


@dataclass(frozen=True, slots=True)
class AnswerTotals:
    """The measures of all tasks: means over the tasks that have one, and counts.

    `with_nothing` counts the tasks on which the library has nothing, `admitted` those of them whose
    reports say so before they cite anything, and `denied` the reports that say so wrongly.
    """

    tasks: int
    completed: int
    topics: float | None
    questions: float
    needless: int
    points: float | None
    early_points: float | None
    words_p50: float
    forbidden: int
    with_nothing: int
    admitted: int
    denied: int
    coverage: float | None
    precision: float | None
    groundedness: float | None
    seconds_p50: float
    seconds_worst: float


def measure_answer(task: JudgedTask, outcome: TaskOutcome) -> AnswerMeasures:
    """All measures of one task. A task that did not complete has made no points."""
    report = read_report(outcome.report) if outcome.completed else ReportStatements((), False)
    text = normalized(report.body)
    asked = [normalized(question) for question in outcome.questions]
    needless = [q for q in asked if task.topics and not any(t.matches(q) for t in task.topics)]
    return AnswerMeasures(
        task,
        outcome,
        judge_statements(report.statements, outcome.sources),
        _missed(task.points, [text]),
        tuple(claim.name for claim in task.forbidden if claim.matches(text)),
        _missed(task.topics, asked),
        tuple(needless),
        None if task.points else _admits(report),
        bool(task.points) and report.opens_with_nothing,
        len(_WORD.findall(report.body)),
        _missed(task.points, [normalized(_opening(report.body))]),
    )


def judge_statements(
    statements: Iterable[Statement], sources: Iterable[Source]
) -> tuple[JudgedStatement, ...]:
    """Compare each statement with the sources that it cites; unknown numbers support nothing."""
    numbered = {source.n: source for source in sources}
    judged = []
    for statement in statements:
        meant = TextStems.of(statement.text)
        cited = {n: best_window(numbered[n], meant) for n in statement.cites if n in numbered}
        supported = TextStems.union(cited.values()).supports(meant)
        counting = [n for n in cited if supported and _counts(n, cited, meant)]
        judged.append(JudgedStatement(statement, supported, tuple(counting)))
    return tuple(judged)


def answer_totals(measures: Sequence[AnswerMeasures]) -> AnswerTotals:
    """The measures over all tasks; at least one is needed."""
    seconds = [one.outcome.seconds for one in measures]
    without = [one.admits_nothing for one in measures if one.admits_nothing is not None]
    return AnswerTotals(
        tasks=len(measures),
        completed=sum(one.outcome.completed for one in measures),
        topics=_mean(one.topics for one in measures),
        questions=mean(len(one.outcome.questions) for one in measures),
        needless=sum(len(one.needless_questions) for one in measures),
        points=_mean(one.points for one in measures),
        early_points=_mean(one.early_points for one in measures),
        words_p50=median(one.words for one in measures),
        forbidden=sum(len(one.said_forbidden) for one in measures),
        with_nothing=len(without),
        admitted=sum(without),
        denied=sum(one.denies for one in measures),
        coverage=_mean(one.coverage for one in measures),
        precision=_mean(one.precision for one in measures),
        groundedness=_mean(one.groundedness for one in measures),
        seconds_p50=median(seconds),
        seconds_worst=max(seconds),
    )


def _counts(n: int, cited: dict[int, TextStems], meant: TextStems) -> bool:
    others = TextStems.union(window for other, window in cited.items() if other != n)
    return cited[n].supports(meant) or not others.supports(meant)


def _admits(report: ReportStatements) -> bool:
    """Whether it begins with that there is nothing, and states nothing without a source."""
    return report.opens_with_nothing and all(one.cites for one in report.statements)


def _opening(body: str) -> str:
    ends = [word.end() for word in _WORD.finditer(body)][:OPENING_WORDS]
    return body[: ends[-1]] if ends else ""


def _missed(expected: Iterable[Expectation], texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(e.name for e in expected if not any(e.matches(text) for text in texts))


def _share_made(missed: tuple[str, ...], every: tuple[Expectation, ...]) -> float | None:
    return (len(every) - len(missed)) / len(every) if every else None


def _share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _mean(values: Iterable[float | None]) -> float | None:
    present = [one for one in values if one is not None]
    return mean(present) if present else None

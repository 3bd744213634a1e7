"""What `terzetto eval answers` prints: a table, one task in full, or JSON.

Rule: text from tasks, documents and models goes through `printable` before it is printed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from web.command.eval.answer_measures import (
    OPENING_WORDS,
    AnswerMeasures,
    AnswerTotals,
    JudgedStatement,
)
from web.terminal import one_line, printable

if TYPE_CHECKING:
    from web.command.eval.answers import AnswerEvaluation

_COLUMNS = (
    "Topics",
    "Ques|tions",
    "Need|less",
    "Points",
    "For|bidden",
    "Cited",
    "Pre|cise",
    "Groun|ded",
    "Sec|onds",
)
"""On a narrow terminal, a heading is broken at the bar."""
_WIDTH = 120
"""Enough for all columns."""


def as_json(evaluation: AnswerEvaluation, *, in_full: bool) -> str:
    """One JSON object; `in_full` with each report and its statements."""
    tasks = [_task_json(one, in_full) for one in evaluation.tasks]
    every = {"tasks": tasks, "overall": asdict(evaluation.overall)}
    return json.dumps(every, ensure_ascii=False)


def print_table(evaluation: AnswerEvaluation, console: Console) -> None:
    """Print a row for each task and one for all tasks."""
    wide = console if console.is_terminal else Console(width=_WIDTH)
    whole = evaluation.overall
    wide.print(_table(evaluation, narrow=wide.width < _WIDTH))
    wide.print(
        f"\nSeconds for all tasks: p50 {whole.seconds_p50:.2f}, worst {whole.seconds_worst:.2f}. "
        "Needless and Forbidden are sums, the other columns means over the tasks.\n"
        f"Words in a report: p50 {whole.words_p50:.0f}. Points made in the first {OPENING_WORDS} "
        f"words: {_figure(whole.early_points)}."
    )
    if whole.with_nothing:
        wide.print(
            f"Tasks on which the library has nothing: {whole.with_nothing}; "
            f"reports that begin with that: {whole.admitted}, and {whole.denied} of other tasks."
        )


def _table(evaluation: AnswerEvaluation, *, narrow: bool) -> Table:
    whole = evaluation.overall
    padding = (0, 1, 0, 0) if narrow else (0, 1)
    table = Table(box=None, pad_edge=False, show_footer=True, padding=padding)
    # On a narrow terminal, only the names may be cut. Figures stay whole.
    least = 10 if narrow else 21
    table.add_column("Task", footer=f"all {whole.tasks}", no_wrap=not narrow, min_width=least)
    table.add_column("Ended", footer=f"{whole.completed} completed", no_wrap=True)
    for name, footer in zip(_COLUMNS, _overall_cells(whole), strict=True):
        heading = name.replace("|", "-\n" if narrow else "")
        table.add_column(heading, footer=footer, justify="right", no_wrap=True)
    for one in evaluation.tasks:
        table.add_row(Text(one_line(one.task.name, 40)), one.outcome.ended, *_cells(one))
    return table


def print_task(one: AnswerMeasures, console: Console) -> None:
    """Print all measures of one task, each of its statements, and its report."""
    lines = [one.task.text, f"Ended: {one.outcome.ended}, in {one.outcome.seconds:.2f} s"]
    lines += _listed("Questions", one.outcome.questions)
    lines += _listed("Needless questions", one.needless_questions)
    lines += _listed("Topics that no question names", one.missed_topics)
    made = [point.name for point in one.task.points if point.name not in one.missed_points]
    lines += _listed("Points made", made)
    lines += _listed("Points missed", one.missed_points)
    lines += _listed("Forbidden claims", one.said_forbidden)
    lines += _listed("Statements", [_shown(judged) for judged in one.statements])
    if one.admits_nothing is not None:
        says = "begins with that" if one.admits_nothing else "does not begin with that"
        lines += ["", f"The library has nothing on this; the report {says}."]
    lines += ["", "Report:", *one.outcome.report.splitlines()]
    for line in lines:
        console.print(Text(printable(line)), soft_wrap=True)


def _task_json(one: AnswerMeasures, in_full: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": one.task.name,
        "ended": one.outcome.ended,
        "seconds": round(one.outcome.seconds, 3),
        "topics": one.topics,
        "missed_topics": one.missed_topics,
        "questions": one.outcome.questions,
        "needless_questions": one.needless_questions,
        "points": one.points,
        "denies": one.denies,
        "missed_points": one.missed_points,
        "late_points": one.late_points,
        "words": one.words,
        "forbidden": one.said_forbidden,
        "admits_nothing": one.admits_nothing,
        "coverage": one.coverage,
        "precision": one.precision,
        "groundedness": one.groundedness,
    }
    if in_full:
        found["statements"] = [asdict(judged) for judged in one.statements]
        found["report"] = one.outcome.report
    return found


def _cells(one: AnswerMeasures) -> list[str]:
    points = _figure(one.points)
    if one.admits_nothing is not None:
        points = "none" if one.admits_nothing else "claims"
    return [
        _figure(one.topics),
        str(len(one.outcome.questions)),
        str(len(one.needless_questions)),
        points,
        str(len(one.said_forbidden)),
        *map(_figure, (one.coverage, one.precision, one.groundedness)),
        f"{one.outcome.seconds:.2f}",
    ]


def _overall_cells(whole: AnswerTotals) -> list[str]:
    return [
        _figure(whole.topics),
        f"{whole.questions:.1f}",
        str(whole.needless),
        _figure(whole.points),
        str(whole.forbidden),
        *map(_figure, (whole.coverage, whole.precision, whole.groundedness)),
        f"{whole.seconds_p50:.2f}",
    ]


def _figure(share: float | None) -> str:
    return "-" if share is None else f"{share:.2f}"


def _listed(heading: str, entries: Iterable[str]) -> list[str]:
    every = [f"- {entry}" for entry in entries]
    return ["", f"{heading}:", *every] if every else []


def _shown(judged: JudgedStatement) -> str:
    cites = ", ".join(str(n) for n in judged.statement.cites)
    if not cites:
        return f"NO SOURCE: {judged.statement.text}"
    verdict = "supported" if judged.supported else "NOT SUPPORTED"
    return f"{verdict} [{cites}]: {judged.statement.text}"

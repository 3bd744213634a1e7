"""`terzetto eval answers`: its input, its measures, and floors for the reports of today."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from rich.console import Console

from actors.agents.extractive.report import parts
from actors.errors import InvalidRequest
from actors.tasks.evidence import Finding, Findings, Passage, Section, Source
from actors.tasks.failure import Failure
from actors.tasks.plan import Question
from web.command import main
from web.command.eval.answer_measures import (
    AnswerMeasures,
    TaskOutcome,
    answer_totals,
    measure_answer,
)
from web.command.eval.answers import AnswerEvaluation, evaluate_task_file
from web.command.eval.answers_screen import print_table
from web.command.eval.judged_files import read_tasks
from web.command.eval.statements import read_report
from web.settings.model import ServerSettings

ANSWERS = Path(__file__).parent / "answers"

FROGS = Source(
    1,
    "b",
    "The Pond",
    "Frogs",
    1,
    "Frogs lay about 3,000 eggs in still water. Most frogs do not live in deserts. "
    "They sing at night. Herons eat frogs at dawn. Ducks eat water plants in spring.",
)
TOADS = Source(2, "n", "Notes", "", 1, "Toads sleep in winter under leaves. They wake in March.")


def task_file(folder: Path, *lines: object) -> Path:
    path = folder / "tasks.jsonl"
    written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(written), encoding="utf-8")
    return path


def measures_of(
    folder: Path,
    report: str,
    *,
    points: Iterable[list[str]] = (["frogs"],),
    forbidden: Iterable[list[str]] = (),
    topics: Iterable[list[str]] = (),
    questions: tuple[str, ...] = (),
    ended: str = "completed",
) -> AnswerMeasures:
    line = {"id": "t", "task": "?", "points": list(points), "forbidden": list(forbidden)}
    (task,) = read_tasks(task_file(folder, {**line, "topics": list(topics)}))
    return measure_answer(task, TaskOutcome(ended, 1.0, questions, report, (FROGS, TOADS)))


# --- What a report states -------------------------------------------------------------------------


def test_headings_notes_code_and_the_list_of_sources_state_nothing() -> None:
    passage = Passage("b", "The Pond", "Frogs", 1, FROGS.text)
    sings = Finding("They sing at night.", 0)
    listing = Finding("    frogs.sing(at=night)", 0, kind="code")
    missed = (Failure("agent_failed", "The agent pond failed."),)
    findings = Findings(
        (
            Section(Question("s2", "Where do frogs sing?", "frogs"), (sings, listing)),
            Section(Question("s3", "Why do newts sing?", "newts")),
            Section(Question("s4", "Why do toads sing?", "toads"), missed=missed),
        ),
        (passage,),
        sample=True,
    )

    report = read_report("".join(parts("Where do frogs and newts sing?", findings)))

    assert [(one.text, one.cites) for one in report.statements] == [("They sing at night.", (1,))]
    assert report.says_nothing
    assert not report.opens_with_nothing
    assert "frogs.sing(at=night)" in report.body


def test_an_empty_report_states_nothing_and_says_so() -> None:
    empty = Section(Question("s2", "Where do newts sing?", "newts"))

    report = read_report("".join(parts("Where do newts sing?", Findings((empty,), sample=True))))

    assert report.statements == ()
    assert report.opens_with_nothing


@pytest.mark.parametrize(
    ("text", "cites"),
    [
        ("Frogs sing at night. [1]", [(1,)]),
        ("Frogs sing at night [1].", [(1,)]),
        ("Frogs **sing** at night[1][2].", [(1, 2)]),
        ("Frogs sing at night [2, 1-3]. They eat at dawn.", [(2, 1, 3), ()]),
        ("- Frogs sing at night [1]\n- They eat at dawn [2]", [(1,), (2,)]),
        ("1. Frogs sing at night. [1]\n2. They eat at dawn. [2]", [(1,), (2,)]),
        ("The frog is `frogs[0]` in the list.", [()]),
        ("The library has nothing on newts [1].", [(1,)]),
        ("```\nfrogs sing at night [1]\n```\n\nYes.", []),
        # The only citation of a paragraph, list or table is at its end: it covers the whole.
        ("Frogs sing at night. They eat at dawn. [1]", [(1,), (1,)]),
        ("- Frogs sing at night\n- They eat at dawn [2]", [(2,), (2,)]),
        ("| Who | What |\n| --- | --- |\n| Frogs | sing at night [1] |", [(1,)]),
        ("Frogs eat slugs. Frogs sing. [1] They eat at dawn. [2]", [(), (1,), (2,)]),
        # An escaped one is the document's own.
        ("Frogs sing at night \\[3\\]. [1]", [(1,)]),
    ],
)
def test_citations_are_read_wherever_writers_put_them(
    text: str, cites: list[tuple[int, ...]]
) -> None:
    assert [one.cites for one in read_report(text).statements] == cites


# --- The measures ---------------------------------------------------------------------------------


def test_a_report_that_quotes_its_sources_has_the_best_measures(tmp_path: Path) -> None:
    report = "## Answer\n\nFrogs lay about 3,000 eggs in still water. [1]\n\n"
    report += "Toads sleep in winter under leaves. [2] They wake in March. [2]\n\n"

    found = measures_of(tmp_path, report, points=[["lay about 3,000 eggs"], ["/sleep .*leaves/"]])

    assert (found.points, found.coverage, found.precision, found.groundedness) == (1, 1, 1, 1)


def test_a_lying_report_scores_low_on_everything(tmp_path: Path) -> None:
    report = (
        "Frogs lay about 9,000 eggs in still water. [1] "
        "Frogs do sleep under leaves in March, as toads do. [1] "
        "Toads eat whole herons before breakfast every Monday. [2] "
        "Frogs are the kings of all deserts. "
        "They sing at night. [7]"
    )

    found = measures_of(
        tmp_path,
        report,
        points=[["3,000 eggs"], ["sleep in winter"]],
        forbidden=[["9,000"], ["/kings .* deserts/"], ["newts"]],
    )

    assert (found.points, found.precision, found.groundedness) == (0, 0, 0)
    assert found.coverage == 4 / 5
    assert found.said_forbidden == ("9,000", "/kings .* deserts/")


@pytest.mark.parametrize(
    ("statement", "supported"),
    [
        ("In still water, a frog lays about 3,000 eggs", True),
        ("A frog lays about 300 eggs in still water", False),
        ("Herons do not eat frogs at dawn", True),  # Missed: a neighbour negates.
        ("Ducks do not eat water plants in spring", False),
        ("Frogs eat herons at dawn", True),  # Missed: the same words.
        ("Frogs lay eggs, and ducks eat water plants in spring", False),  # Too far apart.
        ("Toads in winter sleep under leaves", False),  # It is in the other source.
    ],
)
def test_support_compares_words_numbers_and_negations_of_neighbouring_sentences(
    tmp_path: Path, statement: str, supported: bool
) -> None:
    assert measures_of(tmp_path, f"{statement} [1].").groundedness == supported


def test_a_citation_counts_if_the_statement_needs_it(tmp_path: Path) -> None:
    both = "Herons eat frogs at dawn, and toads sleep under leaves"

    assert measures_of(tmp_path, f"{both} [1, 2].").precision == 1
    assert measures_of(tmp_path, f"{both} [1].").precision == 0
    assert measures_of(tmp_path, "Herons eat frogs at dawn [1, 2].").precision == 1 / 2
    assert measures_of(tmp_path, "Herons eat frogs at dawn [1, 9].").precision == 1 / 2


def test_a_point_counts_in_a_statement_and_not_in_a_heading(tmp_path: Path) -> None:
    report = "# Frogs sing\n\nToads can  sleep\nlong. [1]\n\n## Sources\n\n1. Frogs sing\n"

    found = measures_of(tmp_path, report, points=[["frogs sing"], ["CAN SLEEP LONG"], ["leep"]])

    assert found.missed_points == ("frogs sing", "leep")


def test_points_in_the_opening_are_counted_apart_and_listings_count(tmp_path: Path) -> None:
    report = f"```\npond.drain()\n```\n\n{'Frogs sing. ' * 60}Toads sleep. [1]\n"

    found = measures_of(tmp_path, report, points=[["pond.drain"], ["toads sleep"]])

    assert (found.points, found.early_points, found.words) == (1, 1 / 2, 123)


def test_the_plan_is_compared_with_the_topics(tmp_path: Path) -> None:
    found = measures_of(
        tmp_path,
        "",
        topics=[["frog"], ["toad", "bufo"], ["newt"]],
        questions=("Find passages on: Frogs", "Find passages on: Why Bufo?", "Further: ducks"),
    )

    assert found.topics == 2 / 3
    assert found.missed_topics == ("newt",)
    assert found.needless_questions == ("Further: ducks",)


def test_if_the_library_has_nothing_a_good_report_begins_with_that(
    tmp_path: Path,
) -> None:
    def admits(report: str, ended: str = "completed") -> bool | None:
        return measures_of(tmp_path, report, points=[], ended=ended).admits_nothing

    assert admits("The library has nothing on newts.")
    assert admits(
        "Nothing in the library answers this directly. The closest passages:\n\nFrogs sing. [1]"
    )
    assert not admits("Frogs sing at night. [1]\n\nThe library has nothing on newts.")
    assert not admits("The library has nothing on newts. They live in ponds, though.")
    assert not admits("# Newts\n")
    assert not admits("The library has nothing on newts.", ended="model_unavailable")


def test_a_task_that_did_not_complete_has_no_points(tmp_path: Path) -> None:
    failed = measures_of(tmp_path, "Frogs sing at night. [1]", ended="step_failed")
    done = measures_of(tmp_path, "Frogs sing at night. [1]")

    whole = answer_totals([failed, done, done])

    assert failed.points == 0
    assert (whole.tasks, whole.completed) == (3, 2)
    assert whole.points == pytest.approx(2 / 3)
    assert whole.coverage == 1  # Only where something is stated.


# --- Files ----------------------------------------------------------------------------------------

GOOD = {"id": "a", "task": "How?", "points": [["x"]]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: Invalid JSON"),
        ("[]", "line 2: Input should be an object"),
        ({"id": "b", "task": "How?"}, "line 2: points: Field required"),
        ({**GOOD, "id": "b", "points": ["x"]}, "line 2: points[0]: Input should be"),
        ({**GOOD, "id": "b", "points": [[]]}, "line 2: points[0]:"),
        ({**GOOD, "id": "b", "points": [["x", " "]]}, "line 2: points[0][1]:"),
        ({**GOOD, "id": "b", "task": " "}, "line 2: task:"),
        ({**GOOD, "id": "b", "topic": []}, "line 2: topic: Extra inputs"),
        ({**GOOD, "id": "b", "forbidden": [["/(/"]]}, "line 2: /(/ is no regular expression"),
        (GOOD, "line 2: task a appears twice"),
    ],
)
def test_an_error_names_the_line(tmp_path: Path, line: object, message: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        read_tasks(task_file(tmp_path, GOOD, line))

    assert message in error.value.message


def test_a_file_without_tasks_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="contains no tasks"):
        read_tasks(task_file(tmp_path, "", ""))
    with pytest.raises(InvalidRequest, match="cannot be read"):
        read_tasks(tmp_path / "none.jsonl")


# --- The command ----------------------------------------------------------------------------------


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags that give a command an empty data folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return ["--data", str(tmp_path / "data")]


POND = {"id": "pond", "task": "When do newts wake?", "points": [["wake in March"]]}


def test_it_reads_documents_and_prints_json(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "note.md"
    note.write_text("# Newts\n\nMost newts wake in March, when the ice on their pond has melted.\n")
    file = task_file(tmp_path, POND)

    assert main(["eval", "answers", str(file), "--json", "--documents", str(note), *flags]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["overall"]["points"] == 1
    assert found["overall"]["groundedness"] == 1
    assert found["tasks"][0]["ended"] == "completed"
    assert not (tmp_path / "data").exists()


def test_it_shows_one_task_with_all_its_measures(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    retries = {
        "id": "retries",
        "task": "How do retries make an outage worse?",
        "points": [["additional load"], ["retries are \x1b[31m bad"]],
    }

    assert main(["eval", "answers", str(task_file(tmp_path, POND, retries)), "--show", "retries", *flags]) == 0  # fmt: skip

    shown = capsys.readouterr()
    assert "Points made:\n- additional load\n" in shown.out
    assert "Points missed:\n- retries are [31m bad\n" in shown.out
    assert "supported [1]: " in shown.out
    assert "Report:\n# How do retries make an outage worse?\n" in shown.out
    assert "1 of 1 tasks" in shown.err


def test_the_table_has_a_row_for_each_task(
    tmp_path: Path, flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = {"id": "bread", "task": "How is sourdough bread baked?", "points": []}

    assert main(["eval", "answers", str(task_file(tmp_path, POND, nothing)), *flags]) == 0

    out = capsys.readouterr().out
    assert "pond" in out and "all 2" in out and "2 completed" in out
    assert (
        "Tasks on which the library has nothing: 1; reports that begin with that: 1, and 1 of other tasks."
        in out
    )


def test_the_table_fits_a_terminal_of_80_columns_without_losing_a_figure(tmp_path: Path) -> None:
    report = "Frogs lay about 3,000 eggs in still water. [1] They sing at night. [7]"
    one = measures_of(tmp_path, report, points=[["3,000 eggs"]])
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)

    print_table(AnswerEvaluation((one,), answer_totals([one])), console)

    assert isinstance(console.file, io.StringIO)
    row = next(line for line in console.file.getvalue().splitlines() if line.startswith("t "))
    assert row.split() == [
        "t",
        "completed",
        "-",
        "0",
        "0",
        "1.00",
        "0",
        "1.00",
        "0.50",
        "0.50",
        "1.00",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--show", "other"], "has no task other"),
        (["--documents", "nowhere.md"], "None of the given documents could be read"),
    ],
)
def test_an_evaluation_of_nothing_is_an_error(
    tmp_path: Path,
    flags: list[str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    file = task_file(tmp_path, POND)

    assert main(["eval", "answers", str(file), *arguments, *flags]) == 2
    assert message in capsys.readouterr().err


# --- How good reports are -------------------------------------------------------------------------


async def test_reports_on_the_sample_library_are_as_good_as_they_were(tmp_path: Path) -> None:
    settings = ServerSettings(data_dir=tmp_path / "data")

    whole = (await evaluate_task_file(settings, ANSWERS / "tasks.jsonl", (), None)).overall

    assert whole.completed == whole.tasks == 40
    assert whole.with_nothing == whole.admitted == 4
    assert whole.forbidden == 0
    assert (whole.coverage, whole.precision, whole.groundedness) == (1, 1, 1)
    assert whole.points is not None and whole.points >= 0.72
    assert whole.topics == 1
    assert whole.needless <= 4


async def test_reports_on_everyday_documents_answer_in_every_language(tmp_path: Path) -> None:
    settings = ServerSettings(data_dir=tmp_path / "data")
    documents = [ANSWERS / "everyday"]

    found = await evaluate_task_file(settings, ANSWERS / "everyday.jsonl", documents, None)

    whole = found.overall
    assert [one.task.name for one in found.tasks if one.missed_points] == []
    assert whole.completed == whole.tasks
    assert whole.with_nothing == whole.admitted == 3
    assert (whole.coverage, whole.precision, whole.groundedness) == (1, 1, 1)

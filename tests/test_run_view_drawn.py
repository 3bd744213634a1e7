"""The view in lines and as a picture."""

from __future__ import annotations

import io
from datetime import UTC, datetime

from command_fakes import Log, whole_log
from rich.console import Console
from test_run_view import ERROR, seen

from web.command.run.live import Frame, final_picture
from web.command.run.screens import StreamedText
from web.command.run.view import RunView, progress_line, retry_hint, summary_line

NOW = datetime(2026, 1, 31, 12, 0, 5, tzinfo=UTC)


def drawn(view: RunView, *, height: int = 24, final: bool = False) -> str:
    console = Console(file=io.StringIO(), width=80, height=height, force_terminal=False)
    console.print(final_picture(view, NOW) if final else Frame(view, NOW))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def progress_of(log: Log) -> list[str]:
    view, lines = RunView(), []
    for event in log.events:
        view.apply(event)
        if line := progress_line(event, view):
            lines.append(line)
    return lines


def test_the_plan_is_a_tree_with_states_and_times() -> None:
    log = Log().begin().start("s1").plan().finish("s1").start("s2").finish("s2", result={"n": 4})

    assert drawn(seen(log.start("s3"))).splitlines() == [
        "Compare threads and async  executing",
        "├── ✓ analysis Plan it  0.2 s",
        "│   ├── ✓ retrieval Threads?  0.2 s  4 n",
        "│   └── ⠋ retrieval Async?  4.1 s",
        "└── · synthesis Synthesize it",
        "    └── · writing Write it",
    ]


def test_retries_and_degraded_steps_are_in_the_tree() -> None:
    log = Log().begin().start("s1").retrying("s1", 1, 0, "Bad luck").start("s1", 2).plan()
    log.finish("s1", 2).start("s2").finish("s2", degraded=True, error=ERROR)

    picture = drawn(seen(log))

    assert "✓ analysis Plan it  0.2 s  attempt 2" in picture
    assert "attempt 1: Bad luck [agent_failed]; again at once" in picture
    assert "degraded: No luck [agent_failed]" in picture


def test_a_frame_fits_the_screen_and_shows_the_end_of_the_text() -> None:
    log = Log().until_writing().part("\n\n".join(f"Paragraph {n}" for n in range(5_000)))

    for height in (5, 10, 24, 50):
        picture = drawn(seen(log), height=height)
        assert len(picture.splitlines()) < height
        assert "Paragraph 4999" in picture
    assert "Paragraph 4998" in drawn(seen(log), height=10)


def test_a_plan_taller_than_the_screen_is_cut_too() -> None:
    picture = drawn(seen(Log().until_writing()), height=5)

    assert len(picture.splitlines()) == 4 and "writing" in picture


def test_the_final_picture_is_the_whole_report_with_its_sources() -> None:
    log = Log().until_writing()
    text = "\n\n".join(f"Paragraph {n}" for n in range(100))

    picture = drawn(seen(log.finish("s5").complete(text)), final=True)

    assert "Paragraph 0" in picture and "Paragraph 99" in picture
    assert "[1]  On threads  Costs" in picture


def test_a_report_with_its_own_sources_gets_no_second_list() -> None:
    log = Log().until_writing().finish("s5")

    picture = drawn(seen(log.complete("# Report\n\n## Sources\n\n1. Mine\n")), final=True)

    assert picture.count("Sources") == 1 and "On threads" not in picture


def test_control_characters_of_documents_do_not_reach_the_terminal() -> None:
    log = Log().begin("Do \x1b[31mthis\x07").start("s1").plan().finish("s1").start("s2")
    log.finish("s2", degraded=True, error={"code": "x", "message": "\x1b]0;title\x07"})
    log.part("A \x1b[2Jtext\x9b1m")

    view = seen(log)

    for picture in (
        drawn(view),
        drawn(view, final=True),
        "".join(progress_of(log)),
        summary_line(view),
    ):
        assert not set(picture) & {"\x1b", "\x07", "\x9b"}


def test_rich_markup_in_a_task_is_only_text() -> None:
    assert "[red]x[/nope]" in drawn(seen(Log().begin("[red]x[/nope]")))


def test_progress_has_a_line_for_the_start_and_the_end_of_each_step() -> None:
    lines = progress_of(whole_log())

    assert lines[1:4] == ["s1 analysis: Plan it", "plan: 5 steps", "s1 done in 0.25 s"]
    assert len(lines) == 2 + 2 * 5


def test_a_count_of_one_is_singular() -> None:
    log = Log().begin().start("s1").plan().finish("s1").start("s2")

    lines = progress_of(log.finish("s2", result={"passages": 1, "sources": 2}))

    assert lines[-1] == "s2 done in 0.25 s, 1 passage, 2 sources"


def test_progress_has_lines_for_retries_failures_and_resumption() -> None:
    log = Log().begin().start("s1").retrying("s1", 1, 0.1, "Bad luck").start("s1", 2)
    log.add("step_failed", step_id="s1", step="analysis", attempts=5, error=ERROR)
    log.add("task_resumed", reason="retry", kept_steps=[], run=2).add("agent_hummed")

    assert progress_of(log)[2:] == [
        "s1 attempt 1: Bad luck [agent_failed]; again in 0.1 s",
        "s1 analysis: Plan it (attempt 2)",
        "s1 failed: No luck [agent_failed]",
        "resumed after a retry; 0 steps kept",
    ]


def test_the_summary_says_how_the_task_ended() -> None:
    completed = seen(whole_log())
    failed = seen(Log().begin().add("task_failed", error=ERROR, step_id=None, partial_output=None))
    cancelled = seen(Log().begin().add("task_cancelled", reason="enough", partial_output="abc"))
    early = seen(Log().begin())

    assert summary_line(completed).startswith("Completed in 1.6 s. Task 0b6f")
    assert "No luck [agent_failed]. Kept: the task itself." in summary_line(failed)
    assert "(enough). Kept: 3 characters of text." in summary_line(cancelled)
    assert "ended early (disconnected)" in summary_line(early)
    assert retry_hint(completed) is None and retry_hint(early) is None
    assert "/retry" in (retry_hint(cancelled) or "")


def test_a_repeated_attempt_is_printed_once() -> None:
    text = StreamedText()

    pieces = [text.more(now) for now in ("One ", "One two", "One", "One two", "One two three")]

    assert pieces == ["One ", "two", "", "", " three"]
    assert text.last("One two three") == "\n"


def test_an_attempt_that_differs_is_printed_whole_after_a_rule() -> None:
    text = StreamedText()

    assert text.more("One") == "One"
    assert text.more("Uno") == StreamedText.RULE + "Uno"
    assert text.last("Uno due\n") == " due\n"


def test_no_text_is_no_line() -> None:
    assert StreamedText().last("") == ""

"""`terzetto run`: what is printed where, exit codes, and Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import trio
from command_fakes import HEARTBEAT, TASK_ID, FakeService, Log, answer_with, opened, whole_log

from actors.errors import (
    CancelUnfinished,
    IllegalState,
    InvalidRequest,
    Overloaded,
    StorageUnavailable,
)
from web.command import main
from web.command.run.command import run_task
from web.command.run.screens import JsonScreen, PlainScreen
from web.command.run.view import RunView
from web.service import ServerUnreachable

ERROR = {"code": "agent_failed", "message": "No luck"}
Text = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags that give a command an empty data folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return ["--data", str(tmp_path / "data")]


def interrupt_at(line: int, signum: signal.Signals = signal.SIGINT) -> dict[str, object]:
    """Send a signal to this process once that line has been shown."""
    return {"on_line": lambda at: signal.raise_signal(signum) if at == line else None}


def open_log() -> Log:
    return Log().until_writing().part("So far")


def test_the_report_alone_goes_to_stdout_and_progress_to_stderr(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())

    assert main(["run", "Compare threads and async", "--deadline-s", "60", *data]) == 0

    out, err = capsys.readouterr()
    assert out == "# Report\n\nThreads cost memory [1].\n"
    assert "s2 retrieval: Threads?" in err and f"Completed in 1.6 s. Task {TASK_ID}" in err
    assert service.calls == [("create", "Compare threads and async", 60.0)]


def test_json_prints_the_lines_as_they_came_and_nothing_else(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    lines = [*whole_log().lines()[:3], HEARTBEAT, *whole_log().lines()[3:]]
    answer_with(monkeypatch, FakeService(lines))

    assert main(["run", "x", "--json", *data]) == 0

    assert capsysbinary.readouterr() == (b"".join(line + b"\n" for line in lines), b"")


def test_a_hyphen_reads_the_task_from_stdin(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = answer_with(monkeypatch, FakeService())
    monkeypatch.setattr(sys, "stdin", io.StringIO("From a pipe\n"))

    assert main(["run", "-", *data]) == 0

    assert service.calls[0][1] == "From a pipe\n"


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ({"event_type": "task_failed", "error": ERROR, "step_id": None}, 1),
        ({"event_type": "task_cancelled", "reason": "by the web page"}, 3),
    ],
)
def test_the_exit_code_says_how_it_ended_and_the_partial_text_stays(
    data: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Text,
    ending: dict[str, object],
    code: int,
) -> None:
    log = open_log().add(**ending, partial_output="So far")  # type: ignore[arg-type]
    answer_with(monkeypatch, FakeService(log.lines()))

    assert main(["run", "x", *data]) == code

    out, err = capsys.readouterr()
    assert out == "So far\n"
    assert "Kept: the plan, 2 of 2 searches, the findings, 6 characters of text." in err
    assert f"POST /tasks/{TASK_ID}/retry" in err


@pytest.mark.parametrize(
    ("refusal", "code"),
    [(InvalidRequest("Too long."), 2), (Overloaded("Full."), 75), (ServerUnreachable("Gone."), 1)],
)
def test_an_error_is_printed_with_its_code(
    data: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Text,
    refusal: InvalidRequest,
    code: int,
) -> None:
    answer_with(monkeypatch, FakeService(refusals={"create": refusal}))

    assert main(["run", "x", *data]) == code

    assert capsys.readouterr().err == f"terzetto: {refusal.message} [{refusal.code}]\n"


def test_a_lost_stream_keeps_the_printed_text(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    class Losing(FakeService):
        async def lines(self, task_id: str, after: int = 0):
            for line in self.given:
                yield line
            raise StorageUnavailable("No room.")

    answer_with(monkeypatch, Losing(open_log().lines()))

    assert main(["run", "x", *data]) == 75

    out, err = capsys.readouterr()
    assert out == "So far\n"
    assert "ended early" in err and "No room. [storage_unavailable]" in err


@pytest.mark.parametrize("at", [1, 5, 12])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_cancels_and_prints_what_is_kept(
    data: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: Text,
    at: int,
    signum: signal.Signals,
    code: int,
) -> None:
    log = open_log()
    interrupting = interrupt_at(at, signum)
    service = FakeService(log.lines(), stays_open=log, **interrupting)  # type: ignore[arg-type]
    answer_with(monkeypatch, service)

    assert main(["run", "x", *data]) == code

    out, err = capsys.readouterr()
    reason = "Ctrl-C" if signum == signal.SIGINT else "SIGTERM"
    assert service.calls[1:] == [("cancel", TASK_ID, reason)]
    assert out == "So far\n"
    assert "Kept: the plan, 2 of 2 searches, the findings, 6 characters of text." in err


def test_a_signal_before_the_task_began_starts_nothing(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    class Slow(FakeService):
        async def create(self, description: str, **more: Any) -> str:
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
            raise AssertionError

    answer_with(monkeypatch, Slow())

    assert main(["run", "x", *data]) == 130

    assert "before the task began" in capsys.readouterr().err


def test_a_task_that_completes_before_the_cancel_has_completed(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = FakeService(
        refusals={"cancel": IllegalState("It is completed.")},
        **interrupt_at(5),  # type: ignore[arg-type]
    )
    answer_with(monkeypatch, service)

    assert main(["run", "x", *data]) == 0


async def test_an_unfinished_cancel_is_retried(autojump_clock: object, capsys: Text) -> None:
    log, view = open_log(), RunView()

    class Stubborn(FakeService):
        async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, object]:
            if len(self.calls) < 3:
                self.calls.append(("cancel", task_id, reason))
                raise CancelUnfinished("Not yet.")
            return await super().cancel(task_id, reason)

    service = Stubborn(log.lines(), stays_open=log, **interrupt_at(5))  # type: ignore[arg-type]

    assert await run_task(lambda: opened(service), "x", PlainScreen(view), view) == 130

    assert [call[0] for call in service.calls] == ["create", "cancel", "cancel", "cancel"]
    assert capsys.readouterr().err.count("Not yet. Trying again.") == 2


async def test_the_second_signal_ends_the_process_at_once(capsys: Text) -> None:
    view, codes = RunView(), list[int]()

    class Deaf(FakeService):
        async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, object]:
            signal.raise_signal(signal.SIGINT)
            await trio.sleep_forever()
            raise AssertionError

    log = open_log()
    service = Deaf(log.lines(), stays_open=log, **interrupt_at(5))  # type: ignore[arg-type]
    with trio.CancelScope() as scope:

        def end_at_once(code: int) -> None:
            codes.append(code)
            scope.cancel()

        screen = JsonScreen()
        await run_task(lambda: opened(service), "x", screen, view, end_at_once=end_at_once)

    assert codes == [130]


async def test_a_second_hangup_does_not_count(autojump_clock: object, capsys: Text) -> None:
    log, view, codes = open_log(), RunView(), list[int]()

    class Slow(FakeService):
        async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, object]:
            signal.raise_signal(signal.SIGHUP)
            await trio.sleep(1)
            return await super().cancel(task_id, reason)

    hangup = interrupt_at(5, signal.SIGHUP)
    service = Slow(log.lines(), stays_open=log, **hangup)  # type: ignore[arg-type]

    code = await run_task(
        lambda: opened(service), "x", PlainScreen(view), view, end_at_once=codes.append
    )

    assert (code, codes) == (129, [])
    assert service.calls[1:] == [("cancel", TASK_ID, "SIGHUP")]


@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_no_control_character_of_a_task_or_report_is_printed(
    flags: list[str], data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    odd = "\x1b[31mred\x9b2J\x07\u202e\r"
    log = open_log().part(odd).add("task_failed", error=ERROR | {"message": odd}, step_id=None)
    lines = [json.dumps(event, ensure_ascii=False).encode() for event in log.events]
    answer_with(monkeypatch, FakeService(lines))

    assert main(["run", odd, *flags, *data]) == 1

    out, err = capsys.readouterr()
    assert "red" in out
    assert not [c for c in out + err if c != "\n" and (not c.isprintable() or c == "\u202e")]
    if flags:
        assert [json.loads(line) for line in out.splitlines()] == log.events


def test_a_task_may_begin_with_a_dash_after_two(
    data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = answer_with(monkeypatch, FakeService())

    for task in ("-5 degrees in Oslo?", "--json", "--"):
        assert main(["run", *data, "--", task]) == 0

    assert [call[1] for call in service.calls] == ["-5 degrees in Oslo?", "--json", "--"]


def test_a_task_that_looks_like_an_option_is_explained(data: list[str], capsys: Text) -> None:
    assert main(["run", "-5 degrees in Oslo?", *data]) == 2

    assert "Put -- before a task" in capsys.readouterr().err


def test_a_task_that_is_not_utf_8_is_bad_usage(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("caf\udce9"))

    for command in (["run", "caf\udce9"], ["run", "-"], ["search", "caf\udce9"]):
        assert main([*command, *data]) == 2
        assert capsys.readouterr().err == "terzetto: this text is not UTF-8.\n"


def test_an_endless_task_is_not_read_to_its_end(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    with open("/dev/zero", encoding="utf-8") as endless:
        monkeypatch.setattr(sys, "stdin", endless)

        assert main(["run", "-", *data]) == 2

    assert "[invalid_request]" in capsys.readouterr().err


def test_a_closed_output_pipe_cancels_the_task(
    data: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = answer_with(monkeypatch, FakeService())
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)

        assert main(["run", "x", "--json", *data]) == 141

    assert service.calls[1:] == [("cancel", TASK_ID, "the output cannot be written")]


def test_a_terminal_gets_the_tree_the_report_and_the_sources(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    answer_with(monkeypatch, FakeService())

    assert main(["run", "x", *data]) == 0

    out, err = capsys.readouterr()
    assert "\x1b[?25l" in out and out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")
    final = out[out.rindex("\x1b[?25h") :]
    for part in ("analysis", "Threads cost memory", "Sources", "On threads"):
        assert part in final
    assert "Completed" in err


def test_the_terminal_is_restored_when_a_run_is_refused(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    answer_with(monkeypatch, FakeService(refusals={"create": Overloaded("Full.")}))

    assert main(["run", "x", *data]) == 75

    out, _ = capsys.readouterr()
    assert out.rindex("\x1b[?25h") > out.rindex("\x1b[?25l")


@pytest.mark.parametrize("task", ["", "  \n", "--unknown"])
def test_no_task_is_bad_usage(data: list[str], capsys: Text, task: str) -> None:
    assert main(["run", task, *data]) == 2
    assert "task" in capsys.readouterr().err


def test_a_task_may_follow_up_another(
    data: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Text
) -> None:
    service = FakeService()
    answer_with(monkeypatch, service)

    assert main(["run", "And toads?", "--follow-up", "some-id", *data]) == 0
    assert ("create", "And toads?", None, "some-id") in service.calls

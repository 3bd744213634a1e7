"""Do the tests find bugs? Plant some, one at a time, and run what should notice each.

    python tests/plant_bugs.py                  # all, each in a process of its own; prints a table
    python tests/plant_bugs.py --only "a lost"  # those whose name begins like this
    python tests/plant_bugs.py --check          # only check that every edit still applies

The simulation should notice a bug within its seeds in the gate, or the test that `by` names.

Rule: a bug is an edit of the source as it is imported; no file is changed. An edit that no longer
applies is an error.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from simulate import GATE_SEEDS

TESTS = Path(__file__).parent
MISSED = "MISSED"

SUPERVISOR, JOURNAL = "actors.runs.supervisor", "actors.journal.journal"
LIFE, LIVE_TASKS, TAIL = "actors.tasks.life", "actors.runs.live_tasks", "actors.journal.tail"
RECOVERY = "actors.runs.recovery"
RUN, CHARGES, BORDER = "actors.runs.run", "actors.runs.charges", "actors.runtime.border"
TOOLS = "actors.tools"
LEDGER, ACTOR = "actors.journal.ledger", "actors.runtime.actor"
WITHIN_LINE = "if not self._chunks.within_line and self._may_read():\n"
CLOSES = "            connection.close_now()"
BOUNDS, HTTP_BOUNDS = "test_bounds.py", "test_http_bounds.py"


@dataclass(frozen=True)
class Edit:
    """In this module, or package, `new` in the place of `old`, which stands there exactly once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """What is wrong, the edits that make it so, and what notices it.

    `by` is a test file, perhaps with `::` and words for `pytest -k`; empty: the simulation.
    """

    name: str
    edits: Sequence[Edit]
    by: str = ""


BUGS = [
    Bug(
        "a lost wake-up: a commit wakes no reader",
        [
            Edit(
                TAIL,
                "self.task = append.task\n        self.grown.unpark_all()",
                "self.task = append.task",
            )
        ],
    ),
    Bug(
        "a missing compare-and-set: the store takes any append",
        [Edit("actors.journal.memory", "!= append.expected:", "== object():")],
    ),
    Bug(
        "an ending written twice: a second cancel writes a second one",
        [
            Edit(SUPERVISOR, 'if was != "cancelled":', "if True:"),
            Edit(
                LIFE,
                '"cancelled": {e.TaskQueued: "queued"}',
                '"cancelled": {e.TaskQueued: "queued", e.TaskCancelled: "cancelled"}',
            ),
        ],
    ),
    Bug(
        "an ask left unsettled: a cancel that is refused is not answered",
        [
            Edit(
                SUPERVISOR,
                "except ActorError as error:\n            call.fail(error)",
                "except ActorError:\n            pass",
            )
        ],
    ),
    Bug(
        "a slot given to nobody: the end of a run does not start the next task",
        [
            Edit(
                SUPERVISOR,
                "self._tasks.clear(live)\n        self._fill_slots()",
                "self._tasks.clear(live)",
            )
        ],
    ),
    Bug(
        "a cancel that does not wait for the run to stop",
        [
            Edit(
                SUPERVISOR,
                "live.scope.cancel()\n                    await live.ended.park()",
                "live.scope.cancel()\n                    break",
            )
        ],
    ),
    Bug(
        "an answer before the commit: create does not wait for the log",
        [
            Edit(
                SUPERVISOR,
                "await self._flush(live, pending=1)",
                "self._tasks.runs.start_soon(self._flush, live); self._tasks.pending[None] += 1",
            )
        ],
    ),
    Bug(
        "visible before durable: readers see an append before its commit",
        [
            Edit(
                JOURNAL,
                "outcomes = await self._view.store",
                "[self._view.show(a) for a, _ in group]\n            outcomes = await self._view.store",
            ),
            Edit(JOURNAL, "self._view.show(append)\n                call", "call"),
        ],
    ),
    Bug(
        "a finished step runs again: a resumed run forgets one output",
        [
            Edit(
                RECOVERY,
                'if step.status == "completed"\n    }',
                'if step.status == "completed" and key != "s2"\n    }',
            )
        ],
    ),
    Bug(
        "a gap in a stream: a cursor just before the tail is read from the tail",
        [Edit(TAIL, "return after >= (self", "return after + 1 >= (self")],
    ),
    Bug(
        "a snapshot that is believed although events follow it",
        [
            Edit(JOURNAL, "while piece := await", "while task is None and (piece := await"),
            Edit(JOURNAL, "task.last_seq if task else 0):", "0)):"),
        ],
    ),
    Bug(
        "a crash uses up no attempt",
        [Edit(CHARGES, "if len(causes) == 1:", "if False:")],
        by="test_supervisor.py::a_crash_uses_up",
    ),
    Bug(
        "a crash uses up an attempt of every step",
        [
            Edit(
                CHARGES, 'if last_end != "crash" or key != charged_step:', 'if last_end != "crash":'
            ),
            Edit(RUN, "self._suspects_turn() if self._is_suspect(step) else", ""),
        ],
        by="test_charges.py::kills_from_outside",
    ),
    Bug(
        "suspects run side by side",
        [Edit(RUN, "self._suspects_turn() if self._is_suspect(step) else", "")],
        by="test_charges.py::a_crash_loop",
    ),
    Bug(
        "a step with effects begins before its start is durable",
        [Edit(RUN, "durable = has_effects or", "durable = False and")],
        by="test_charges.py::a_crash_loop",
    ),
    Bug(
        "a Cancelled that a handler kept from another scope passes its border",
        [Edit(BORDER, "ours = trio.current_effective_deadline() == -math.inf", "ours = True")],
        by="test_runtime_border.py",
    ),
    Bug(
        "sys.exit in a handler ends its actor",
        [Edit(BORDER, "isinstance(one, ProcessDied)", "isinstance(one, ProcessDied | SystemExit)")],
        by="test_runtime_border.py",
    ),
    Bug(
        "a plugin has effects before the start of its step is durable",
        [Edit(RUN, "durable = has_effects or", "durable = False and")],
    ),
    Bug(
        "sys.exit in an agent ends its actor, and the server",
        [Edit(BORDER, "isinstance(one, ProcessDied)", "isinstance(one, ProcessDied | SystemExit)")],
    ),
    Bug(
        "a task whose record is damaged ends the start",
        [Edit(SUPERVISOR, "(TaskNotFound, TaskUnreadable) as error", "TaskNotFound as error")],
    ),
    Bug(
        "what a plugin leaves open stays around its actor",
        [
            Edit(
                "actors.agents.plugin",
                "apart(self.name, self._agent.handle, arg",
                "self._agent.handle(arg",
            )
        ],
        by="test_plugins_misbehaving.py",
    ),
    Bug(
        "a tool server over HTTP may reply to another request",
        [Edit(TOOLS, "elif str(message.id) != str(request_id):", "elif False:")],
        by="test_tools_remote.py::no_reply",
    ),
    Bug(
        "a tool with `when` that cannot start is left out without a word",
        [Edit(TOOLS, "if not self._settings.when or self._listing.tools:", "if True:")],
        by="test_tools_in_tasks.py::with_when",
    ),
    Bug(
        "children of a tool server in sessions of their own outlive it",
        [Edit(TOOLS, 'KEPT = sys.platform == "linux"', "KEPT = False")],
        by="test_tools_children.py::gone_with_it",
    ),
    Bug(
        "a delete does not wait for what was decided meanwhile",
        [Edit(SUPERVISOR, "while settled < live.task.last_seq:", "while settled < 0:")],
        by="test_regressions.py::a_delete_waits",
    ),
    Bug(
        "a deleted task's readers are not told",
        [Edit(JOURNAL, 'tail.close_streams("deleted")', "pass")],
    ),
    Bug(
        "a retry starts beside the run that is on its way out",
        [
            Edit(
                SUPERVISOR,
                'await self._run_left(live)\n            if live.task.status not in ("failed"',
                'if live.task.status not in ("failed"',
            )
        ],
        by="test_regressions.py::a_retry_waits",
    ),
    Bug(
        "a task whose log failed leaves the tasks while its run works",
        [Edit(LIVE_TASKS, "if live.idle:", "if live.idle or live.ledger.failed:")],
        by="test_regressions.py::while_a_run_that_cannot_write",
    ),
    Bug(
        "a commit may be lost with the power: synchronous=NORMAL",
        [Edit("actors.sqlite", "synchronous = FULL", "synchronous = NORMAL")],
        by=f"{BOUNDS}::on_the_disk_before",
    ),
    Bug(
        "the window has no bound of bytes",
        [Edit(LEDGER, "self._ahead_bytes >= self._window.bytes", "False")],
        by=f"{BOUNDS}::ahead_of_the_log",
    ),
    Bug(
        "a group has no bound of bytes",
        [Edit(JOURNAL, "and size < GROUP_BYTES", "")],
        by=f"{BOUNDS}::a_commit_takes",
    ),
    Bug(
        "the journal's queue has no bound",
        [Edit(JOURNAL, "len(self._appends) >= GROUP_APPENDS", "False")],
        by=f"{BOUNDS}::the_journal_takes",
    ),
    Bug(
        "a tail has no bound of bytes",
        [Edit(TAIL, "or self._bytes > self._bounds.bytes", "")],
        by=f"{BOUNDS}::a_tail_holds",
    ),
    Bug(
        "a run sleeps for ever after a step beside it did the last ones",
        [Edit(RUN, "            self._waits.unpark()  # Perhaps all is done now.\n", "")],
        by="test_supervisor.py::a_step_begins",
    ),
    Bug(
        "idle tails have no bound",
        [Edit(JOURNAL, "self._idle_bytes > self._bounds.idle_bytes", "False")],
        by=f"{BOUNDS}::tails_that_nobody_uses",
    ),
    Bug(
        "at a restart queued tasks on SQLite may go before executing ones",
        [Edit("actors.journal", "ORDER BY status, updated_at", "ORDER BY updated_at")],
        by=f"{BOUNDS}::at_a_restart",
    ),
    Bug(
        "an Idempotency-Key matches a task with another budget",
        [
            Edit(
                SUPERVISOR,
                "(task.context_task_id, task.budget)",
                "(task.context_task_id, new.budget)",
            )
        ],
        by=f"{BOUNDS}::a_key_that_was_used",
    ),
    Bug(
        "an Idempotency-Key matches a task with another context_task_id",
        [
            Edit(
                SUPERVISOR,
                "(task.context_task_id, task.budget)",
                "(new.context_task_id, task.budget)",
            )
        ],
        by=f"{BOUNDS}::a_key_that_was_used",
    ),
    Bug(
        "a heartbeat comes within a line",
        [Edit("web.api", WITHIN_LINE, "if True:\n")],
        by=f"{BOUNDS}::heartbeat",
    ),
    Bug(
        "the deadline of a call holds for the next one, too",
        [Edit(ACTOR, "scope.deadline = math.inf", "pass")],
        by="test_runtime_ask.py::the_time_limit_of_a_call",
    ),
    Bug(
        "a supervisor that drains starts queued tasks",
        [Edit(SUPERVISOR, " and not tasks.draining:", ":")],
        by=f"{BOUNDS}::a_system_that_drains",
    ),
    Bug(
        "a busy actor lets nobody else go on",
        [Edit(ACTOR, "taken % self._calls_per_tick == 0", "False")],
        by="test_regressions_load.py::a_busy_actor",
    ),
    Bug(
        "a body may come as slowly as it likes",
        [Edit("web.http", "MIN_BODY_RATE = 4 * 1024", "MIN_BODY_RATE = 1e-9")],
        by=f"{HTTP_BOUNDS}::drips",
    ),
    Bug(
        "a client may pipeline as much as it likes",
        [Edit("web.http", "self._ahead >= READ_BYTES", "False")],
        by=f"{HTTP_BOUNDS}::pipelines",
    ),
    Bug(
        "while room is made there are more connections than the limit",
        [Edit("web.http", CLOSES, f"{CLOSES}\n            return True")],
        by=f"{HTTP_BOUNDS}::room_is_made",
    ),
    Bug(
        "uploads: what will be read from a document is not counted",
        [Edit("web.api.body_memory", "self._times_parsed * max([size, *others])", "0")],
        "test_api_uploads.py::counts_with_all",
    ),
    Bug(
        "uploads: no bound",
        [Edit("web.api.body_memory", "if others and needed > self._most:", "if False:")],
        "test_api_uploads.py::up_to_a_bound",
    ),
    Bug(
        "uploads: any number of documents waits to be parsed",
        [
            Edit(
                "actors.library.parsing.places",
                "self.waiting + self.taken >= MOST_DOCUMENTS",
                "False",
            )
        ],
        "test_api_uploads.py::waits_to_be_parsed",
    ),
    Bug(
        "uploads: large documents are parsed beside others",
        [Edit("actors.library.parsing.places", "sum(self._sizes) + size <= BYTES_AT_ONCE", "True")],
        "test_api_uploads.py::one_at_a_time",
    ),
    Bug(
        "HTTP: a chunk ends within a line",
        [Edit("web.api.streams", "    if last >= 0:", "    if last == 0:")],
        "test_http_streams.py::64_kib",
    ),
    Bug(
        "HTTP: a chunk ends within a character",
        [Edit("web.api.streams", "text[end] & 0xC0 == 0x80", "False")],
        "test_http_streams.py::64_kib",
    ),
    Bug(
        "HTTP: a head that comes at once has no bound",
        [Edit("web.http.connection", "len(come) > HEAD_BYTES and not", "False and not")],
        f"{HTTP_BOUNDS}::32_kib",
    ),
    Bug(
        "HTTP: a slow client is cut off before it reads its refusal",
        [
            Edit(
                "web.http.connection",
                "linger.deadline = trio.current_time() + LINGER_S",
                "pass",
            )
        ],
        f"{HTTP_BOUNDS}::refusal_at_its_end",
    ),
    Bug(
        "HTTP: the Host header counts beside an absolute target",
        [Edit("web.http.request_cycle", "if target.host is not None:", "if False:")],
        "test_api_headers.py::absolute_target",
    ),
    Bug(
        "HTTP: a header is doubled and one of both counts",
        [Edit("web.api.request_checks", "if doubled:", "if False:")],
        "test_api_headers.py::two_lines",
    ),
    Bug(
        "HTTP: a body is read before its media type is refused",
        [
            Edit(
                "web.api.document_routes",
                "    check_media_type(media_type)\n",
                "",
            )
        ],
        "test_api_headers.py::without_a_100",
    ),
    Bug(
        "HTTP: an encoded body is taken as it is",
        [Edit("web.api.bodies", "    _refuse_encoded(request)\n", "")],
        "test_api_headers.py::encoded_body",
    ),
    Bug(
        "HTTP: a report shows the markup of its text",
        [Edit("web.api.reports", '{"html": False}', '{"html": True}')],
        "test_api_report.py::holds_no_markup",
    ),
    Bug(
        "a closed terminal: the second SIGHUP ends the command at once",
        [Edit("web.signals", "== signal.SIGHUP:", "== signal.SIGABRT:")],
        "test_command_run.py::hangup",
    ),
    Bug(
        "escape sequences in the JSON of a search",
        [
            Edit(
                "web.terminal",
                'lambda found: f"\\\\u{ord(found[0]):04x}"',
                "lambda found: found[0]",
            )
        ],
        "test_command_library.py::control",
    ),
    Bug(
        "service links of Kubernetes: they are warnings",
        [Edit("web.settings.environment", "not _SERVICE_LINK.fullmatch", "str")],
        "test_settings_environment.py::kubernetes",
    ),
    Bug(
        "a secret from a file is shown in a problem",
        [Edit("web.settings.sources", "if name in layers.hidden:", "if False:")],
        "test_settings_environment.py::not_reported",
    ),
    Bug(
        "a clock that is set back: the times of a log go back, too",
        [Edit(LEDGER, 'task.updated_at if task else ""', '""')],
        "test_supervisor.py::set_back",
    ),
    Bug(
        "a request that waits for the log is cut at the shutdown",
        [Edit("web.http.server", "ANSWER_S = 12.0", "ANSWER_S = CLOSING_S")],
        "test_http_faults.py::worked_on",
    ),
    Bug(
        "a second delete takes the waiters of the first one",
        [Edit(SUPERVISOR, "if isinstance(live.ledger.failed, TaskNotFound):", "if False:")],
        "test_regressions_load.py::another_delete_comes",
    ),
    Bug(
        "a deleted task stays in memory while anybody asks for it",
        [Edit(SUPERVISOR, "                self._tasks.drop(live)\n", "")],
        "test_regressions_load.py::deletion_of_its_last_one",
    ),
    Bug(
        "a damaged page ends the process",
        [
            Edit(
                "actors.sqlite_errors",
                "case Meaning.WRITE_FAILED | Meaning.BROKEN if fatal:",
                "case Meaning.WRITE_FAILED | Meaning.BROKEN | Meaning.DAMAGED if fatal:",
            )
        ],
        by="test_damage.py::a_flipped_byte",
    ),
    Bug(
        "what is deleted stays in the file",
        [Edit("actors.sqlite", 'connection.executescript("PRAGMA incremental_vacuum")', "pass")],
        by="test_damage.py::deleted_words",
    ),
]


class DoesNotApply(Exception):
    """The text that an edit replaces does not stand exactly once where the edit says."""


def target_of(edit: Edit) -> str:
    """The name of the module that an edit changes; raises `DoesNotApply`."""
    root = TESTS.parent
    place = root.joinpath(*edit.module.split("."))
    files = sorted(place.rglob("*.py")) or [place.with_suffix(".py")]
    counts = {file: file.read_text().count(edit.old) for file in files if file.exists()}
    if sum(counts.values()) != 1:
        raise DoesNotApply(f"{edit.old!r} stands {sum(counts.values())} times in {edit.module}")
    (found,) = (file for file, count in counts.items() if count)
    return ".".join(found.relative_to(root).with_suffix("").parts)


def wrong_edits() -> list[str]:
    """Every edit that does not apply to the source as it is now, and why."""
    found = []
    for bug in BUGS:
        for edit in bug.edits:
            try:
                target_of(edit)
            except DoesNotApply as wrong:
                found.append(f"{bug.name}: {wrong}")
    return found


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the edited modules from their edited source, and leaves the others to Python."""

    def __init__(self, bug: Bug) -> None:
        self._edits = [(target_of(edit), edit) for edit in bug.edits]

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        if all(module != name for module, _ in self._edits):
            return None
        found = PathFinder.find_spec(name, path)
        assert found is not None and found.origin is not None
        return importlib.util.spec_from_file_location(name, found.origin, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__file__ is not None
        source = Path(module.__file__).read_text()
        for name, edit in self._edits:
            if name == module.__name__:
                source = source.replace(edit.old, edit.new)
        code = compile(source, module.__file__, "exec")
        exec(code, module.__dict__)  # noqa: S102 - our own source, which is the point.


def hunt(bug: Bug, seeds: int) -> tuple[str, str]:
    """In a process of its own: plant one bug; after how much work it was found, and how."""
    sys.meta_path.insert(0, Planter(bug))
    if bug.by:
        return _hunt_by_tests(bug.by)
    from simulate.generate import generate
    from simulate.world import play

    for seed in range(seeds):
        if troubles := play(generate(seed)):
            return f"{seed + 1} seeds", troubles[0][:90]
    return MISSED, f"not found in {seeds} seeds"


def _hunt_by_tests(selected: str) -> tuple[str, str]:
    import pytest

    failed: list[str] = []

    class Failures:
        def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
            if report.failed:
                failed.append(report.nodeid.partition("::")[2])

    file, _, name = selected.partition("::")
    options = ["-q", "-x", "-p", "no:cacheprovider", "--no-header", str(TESTS / file)]
    with contextlib.redirect_stdout(sys.stderr):
        pytest.main([*options, *(["-k", name] if name else [])], plugins=[Failures()])
    return (file, failed[0]) if failed else (MISSED, f"{selected} passes")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/plant_bugs.py", description=__doc__)
    parser.add_argument("--seeds", type=int, default=GATE_SEEDS)
    parser.add_argument("--only", default="", help="only bugs whose name begins like this")
    parser.add_argument("--first", type=int, default=0, help="skip so many bugs")
    parser.add_argument("--check", action="store_true", help="only check that all edits apply")
    parser.add_argument("--hunt", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.check:
        wrong = wrong_edits()
        print("\n".join(wrong) or f"All edits of {len(BUGS)} bugs apply.")
        return int(bool(wrong))
    if args.hunt is not None:
        print(*hunt(BUGS[args.hunt], args.seeds), sep="\t")
        return 0
    missed = 0
    print("| planted bug | found by | first trouble | s |\n|---|---|---|---|")
    for number, bug in enumerate(BUGS):
        if number < args.first or not bug.name.startswith(args.only):
            continue
        began = time.perf_counter()
        command = [sys.executable, __file__, "--hunt", str(number), "--seeds", str(args.seeds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        line = done.stdout.strip() if done.returncode == 0 else ""
        found, _, trouble = (line or f"{MISSED}\t{done.stderr[-300:]}").partition("\t")
        missed += found == MISSED
        took = time.perf_counter() - began
        print(f"| {bug.name} | {found} | {trouble} | {took:.0f} |", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())

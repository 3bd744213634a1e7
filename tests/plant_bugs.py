"""Does the simulation find bugs? Plant some, one at a time, and count the seeds until it fails.

    python -m tests.plant_bugs                  # all, each in processes of its own; prints a table
    python -m tests.plant_bugs --only "a lost"  # those whose name begins like that

Rule: a bug is an edit of the source as it is imported; no file is changed. An edit that no longer
applies is an error.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.util
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

SUPERVISOR, JOURNAL = "actors.runs.supervisor", "actors.journal.journal"
LIFE, LIVE_TASKS, TAIL = "actors.tasks.life", "actors.runs.live_tasks", "actors.journal.tail"


@dataclass(frozen=True)
class Edit:
    """In this module, `new` in the place of `old`, which stands there exactly once."""

    module: str
    old: str
    new: str


@dataclass(frozen=True)
class Bug:
    """What is wrong, and the edits that make it so."""

    name: str
    edits: Sequence[Edit]


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
                "self._tasks.runs.start_soon(self._flush, live); self._tasks.pending += 1",
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
                SUPERVISOR,
                'if step.status == "completed"\n            }',
                'if step.status == "completed" and key != "s2"\n            }',
            )
        ],
    ),
    Bug(
        "a gap in a stream: a cursor just before the tail is read from the tail",
        [Edit(TAIL, "if skipped < 0 or", "if skipped < -1 or")],
    ),
    Bug(
        "a crash uses up no attempt",
        [Edit(SUPERVISOR, '"executing" and live.last_end != "crash":', '"executing":')],
    ),
    Bug(
        "a deleted task's readers are not told",
        [Edit(JOURNAL, 'tail.close_streams("deleted")', "pass")],
    ),
    Bug(
        "found by it: a retry starts beside the run that is on its way out",
        [
            Edit(
                SUPERVISOR,
                'await self._run_left(live)\n            if live.task.status not in ("failed"',
                'if live.task.status not in ("failed"',
            )
        ],
    ),
    Bug(
        "found by it: a task whose log failed leaves the tasks while its run works",
        [Edit(LIVE_TASKS, "if live.idle and", "if (live.idle or live.ledger.failed) and")],
    ),
]


class Planter(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the edited modules from their edited source, and leaves the others to Python."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: object = None
    ) -> ModuleSpec | None:
        if all(edit.module != name for edit in self._bug.edits):
            return None
        found = PathFinder.find_spec(name, path)
        assert found is not None and found.origin is not None
        return importlib.util.spec_from_file_location(name, found.origin, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__file__ is not None
        with open(module.__file__, encoding="utf-8") as file:
            source = file.read()
        for edit in self._bug.edits:
            if edit.module == module.__name__:
                if source.count(edit.old) != 1:
                    raise SystemExit(
                        f"{self._bug.name}: {edit.old!r} stands {source.count(edit.old)} times"
                    )
                source = source.replace(edit.old, edit.new)
        code = compile(source, module.__file__, "exec")
        exec(code, module.__dict__)  # noqa: S102 - our own source, which is the point.


def hunt(number: int, seeds: int) -> None:
    """In a process of its own: plant one bug, and print the seeds it took and what was found."""
    sys.meta_path.insert(0, Planter(BUGS[number]))
    from simulate.generate import generate
    from simulate.world import play

    for seed in range(seeds):
        if troubles := play(generate(seed)):
            print(seed + 1, troubles[0][:90], sep="\t")
            return
    print("none", f"not found in {seeds} seeds", sep="\t")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.plant_bugs", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--only", default="", help="only bugs whose name begins like this")
    parser.add_argument("--hunt", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.hunt is not None:
        hunt(args.hunt, args.seeds)
        return 0
    missed = 0
    print("| planted bug | seeds | first trouble | s |\n|---|---|---|---|")
    for number, bug in enumerate(BUGS):
        if not bug.name.startswith(args.only):
            continue
        began = time.perf_counter()
        command = [sys.executable, "-m", "tests.plant_bugs", "--hunt", str(number)]
        command += ["--seeds", str(args.seeds)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seeds, _, trouble = (done.stdout.strip() or f"error\t{done.stderr[-300:]}").partition("\t")
        missed += not seeds.isdigit()
        took = time.perf_counter() - began
        print(f"| {bug.name} | {seeds} | {trouble} | {took:.0f} |", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())

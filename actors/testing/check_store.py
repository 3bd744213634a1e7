"""The conformance test for log engines: what every `Store` must do, whatever it is built on.

    async def test_my_store():
        await check_store(lambda: open_my_store(url))

Rule: it uses nothing but the `Store` protocol, and says in a sentence what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from itertools import count
from typing import Final, Literal

from actors.errors import ActorError
from actors.journal.log import EMPTY, PIECE_BYTES, Append, Position, Record, StaleWriter, Store
from actors.tasks import events as e
from actors.tasks.events import Stamped
from actors.tasks.failure import Failure
from actors.tasks.life import Task, TaskStatus, evolve

MakeStore = Callable[[], AbstractAsyncContextManager[Store]]
LONG_LINE = 30_000
STEP: Final[tuple[str, Literal["writing"]]] = ("s1", "writing")
STARTED = e.StepStarted(*STEP, 1, 1, "writer", "write", 1)


async def check_store(make_store: MakeStore) -> None:
    """Raise `AssertionError`, with a sentence, if a store does not do what the protocol says.

    Each call of `make_store` opens the same store, empty at first: one is opened while another
    still is, to see what is durable.
    """
    async with make_store() as store:
        await _check_claim(store)
        await _check_empty(store)
        await _check_appends(store)
        await _check_reads(store)
        await _check_outputs(store)
        await _check_snapshots(store)
        await _check_index(store)
        await _check_delete(store)
        await _check_durable(store, make_store)
        await store.release()
    async with make_store() as store:
        _must(await store.claim(), "claim() must say True after release() and a new opening.")


def _must(holds: bool, sentence: str) -> None:
    if not holds:
        raise AssertionError(sentence)


class _Writer:
    """Makes the appends of one task, as its ledger would."""

    _clock = count()

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.task: Task | None = None
        self.lines: list[bytes] = []

    def append(
        self, *events: e.Event, output: bytes | None = None, snapshot: bytes | None = None
    ) -> Append:
        """The next append; the last event carries `output` of the writing step."""
        expected = self.task.last_seq if self.task else EMPTY
        records: list[Record] = []
        task = self.task
        for seq, event in enumerate(events, expected + 1):
            minutes, seconds = divmod(next(self._clock), 60)
            at = f"2026-01-31T12:{minutes % 60:02}:{seconds:02}.000Z"
            stamped = Stamped(seq, self.task_id, at, event)
            task = evolve(task, stamped)
            records.append(Record(seq, stamped.line()))
        if output is not None:
            records[-1] = Record(records[-1].seq, records[-1].line, STEP[0], output)
        assert task is not None
        self.task = task
        self.lines += [record.line for record in records]
        return Append(task, expected, tuple(records), snapshot)


async def _commit(store: Store, *group: Append) -> list[Position | ActorError]:
    answers = await store.append(group)
    _must(len(answers) == len(group), "append() must answer each append of its group.")
    return answers


async def _all_lines(store: Store, task_id: str, after: int = 0) -> bytes:
    """What `read` gives from `after` to the end, piece by piece."""
    found = b""
    while piece := await store.read(task_id, after):
        _must(piece.first_seq == after + 1, "A piece must begin with the event after `after`.")
        events = piece.lines.count(b"\n")
        _must(piece.last_seq == after + events > after, "last_seq must be that of the last line.")
        found, after = found + piece.lines, piece.last_seq
    return found


async def _check_claim(store: Store) -> None:
    _must(await store.claim(), "The first claim() of a new store must say True.")
    _must(not await store.claim(), "claim() must say False when no release() came before it.")
    await store.release()
    _must(await store.claim(), "claim() must say True after release().")


async def _check_empty(store: Store) -> None:
    _must(await store.read("none", 0) is None, "read() of an unknown task must give None.")
    _must(await store.outputs("none") == {}, "outputs() of an unknown task must be empty.")
    page = await store.page(None, 10, None)
    _must(page.tasks == () and page.next_before is None, "A new store must have no tasks.")
    _must(await store.counts("pending") == {}, "A new store must count no tasks.")
    _must(await store.snapshot("none") is None, "snapshot() of an unknown task must give None.")
    _must(await store.unfinished() == [], "A new store must have no unfinished tasks.")
    await store.delete("none")  # Deleting twice is no error.


async def _check_appends(store: Store) -> None:
    """Compare-and-set, for each append of a group by itself."""
    first, rival, other = _Writer("a1"), _Writer("a1"), _Writer("a2")
    answers = await _commit(store, first.append(e.TaskCreated("frogs"), e.TaskQueued(0, 1)))
    _must(answers == [2], "append() must answer with the seq of the last event.")
    late = _Writer("a3")
    late.append(e.TaskCreated("newts"))
    group = (
        rival.append(e.TaskCreated("toads")),
        other.append(e.TaskCreated("newts")),
        late.append(e.TaskQueued(0, 1)),
        first.append(e.TaskStarted(1)),
    )
    answers = await _commit(store, *group)
    _must(
        isinstance(answers[0], StaleWriter) and isinstance(answers[2], StaleWriter),
        "An append whose `expected` is not where the log is must be answered with StaleWriter.",
    )
    _must(
        (answers[1], answers[3]) == (1, 3),
        "A stale append must not keep the others of its group from being committed.",
    )
    _must(await store.read("a3", 0) is None, "A stale append must write nothing.")
    for writer in (first, other):
        lines = await _all_lines(store, writer.task_id)
        _must(lines == b"".join(writer.lines), "read() must give the very bytes of the appends.")


async def _check_reads(store: Store) -> None:
    writer = _Writer("r1")
    await _commit(store, writer.append(*_begun("frogs")))
    text = e.PartialOutput(*STEP, 1, "x" * LONG_LINE)
    for events in ([text], [text, text], [text] * 3, *([text] for _ in range(12))):
        await _commit(store, writer.append(*events))
    for after in range(len(writer.lines) + 1):
        expected = b"".join(writer.lines[after:])
        found = await _all_lines(store, "r1", after)
        _must(found == expected, f"read() after {after} must give all later events, and no other.")
        piece = await store.read("r1", after)
        most = PIECE_BYTES + 3 * (LONG_LINE + 1_000)
        size = len(piece.lines) if piece else 0
        _must(size <= most, "A piece must end with the append that takes it past PIECE_BYTES.")


async def _check_outputs(store: Store) -> None:
    writer = _Writer("o1")
    await _commit(store, writer.append(*_begun("frogs")))
    completed = e.StepCompleted(*STEP, 1, 0.1)
    await _commit(store, writer.append(completed, output=b"\0secret"))
    found = await store.outputs("o1")
    _must(found == {STEP[0]: b"\0secret"}, "outputs() must give the outputs of completed steps.")
    lines = await _all_lines(store, "o1")
    _must(b"secret" not in lines, "Private outputs must not stand in the log's lines.")


async def _check_snapshots(store: Store) -> None:
    writer, rival = _Writer("s1"), _Writer("s1")
    for snapshot, newest in ((b"\0one", b"\0one"), (None, b"\0one"), (b"two", b"two")):
        events = [e.PartialOutput(*STEP, 1, "x")] if writer.task else _begun("frogs")
        await _commit(store, writer.append(*events, snapshot=snapshot))
        found = await store.snapshot("s1")
        _must(found == newest, "snapshot() must give the bytes of the newest snapshot.")
    await _commit(store, rival.append(e.TaskCreated("toads"), snapshot=b"stale"))
    _must(await store.snapshot("s1") == b"two", "A stale append must not replace the snapshot.")
    await store.delete("s1")
    await _commit(store, _Writer("s1").append(e.TaskCreated("newts")))
    _must(await store.snapshot("s1") is None, "delete() must remove a task's snapshot.")


async def _check_index(store: Store) -> None:
    for task in (await store.page(None, 100, None)).tasks:
        await store.delete(task.task_id)
    failed = e.TaskFailed(Failure("agent_failed", "no"), "s1", None)
    queued, started = e.TaskQueued(0, 1), e.TaskStarted(1)
    moves: dict[str, Sequence[e.Event]] = {  # In another order than they are created in.
        "i4": [queued],
        "i2": [queued],
        "i5": [queued, started],
        "i3": [queued, started],
        "i6": [queued, started, failed],
    }
    owners = {"i1": None, "i2": "ann", "i3": "bob", "i4": "ann", "i5": None, "i6": "bob"}
    writers = {task_id: _Writer(task_id) for task_id in owners}
    for writer in writers.values():
        created = e.TaskCreated("frogs", 60.0, {"a": "b"}, owner=owners[writer.task_id])
        await _commit(store, writer.append(created))
    for task_id, events in moves.items():
        await _commit(store, writers[task_id].append(*events))
    unfinished = await store.unfinished()
    _must(
        unfinished == ["i5", "i3", "i4", "i2"],
        "unfinished() must give executing tasks, then queued ones, each longest waiting first.",
    )
    counts: dict[TaskStatus, dict[str | None, int]] = {
        "pending": {None: 1},
        "queued": {"ann": 2},
        "executing": {"bob": 1, None: 1},
        "completed": {},
    }
    for status, tasks in counts.items():
        _must(await store.counts(status) == tasks, f"counts() must count the {status} tasks.")
    of_bob = (await store.page(None, 10, None, "bob")).tasks
    _must([t.task_id for t in of_bob] == ["i6", "i3"], "A page must keep to the owner asked for.")
    _must(await store.owner("i2") == "ann", "owner() must say whose a task is.")
    await _check_pages(store, [writer.task for writer in writers.values()])


async def _check_pages(store: Store, tasks: Sequence[Task | None]) -> None:
    seen: list[Task] = []
    before: int | None = None
    for _ in tasks:
        page = await store.page(None, 2, before)
        _must(len(page.tasks) <= 2, "A page must have at most `limit` tasks.")
        seen += page.tasks
        before = page.next_before
        if before is None:
            break
    _must(
        list(map(_indexed, seen)) == [_indexed(task) for task in reversed(tasks) if task],
        "The pages together must list every task once, newest first, with its latest values.",
    )
    queued = (await store.page("queued", 10, None)).tasks
    _must([t.task_id for t in queued] == ["i4", "i2"], "A page must keep to the status asked for.")


def _indexed(task: Task) -> tuple[object, ...]:
    """What the index holds of a task."""
    moving = (task.status, task.last_seq, task.run, task.degraded, task.error, task.updated_at)
    fixed = (task.created_at, task.task_description, task.deadline_s, dict(task.metadata))
    return (task.task_id, *moving, *fixed)


async def _check_delete(store: Store) -> None:
    writer = _Writer("d1")
    await _commit(store, writer.append(*_begun("frogs")))
    completed = e.StepCompleted(*STEP, 1, 0.1)
    await _commit(store, writer.append(completed, output=b"secret"))
    await store.delete("d1")
    _must(await store.read("d1", 0) is None, "delete() must remove a task's events.")
    _must(await store.outputs("d1") == {}, "delete() must remove a task's outputs.")
    listed = (await store.page(None, 100, None)).tasks
    _must("d1" not in {t.task_id for t in listed}, "delete() must remove a task from the index.")
    _must("d1" not in await store.unfinished(), "A deleted task must not be unfinished.")
    again = _Writer("d1")
    answers = await _commit(store, again.append(e.TaskCreated("newts")))
    _must(answers == [1], "The id of a deleted task must be free again.")


async def _check_durable(store: Store, make_store: MakeStore) -> None:
    writer = _Writer("k1")
    await _commit(store, writer.append(*_begun("frogs")))
    async with make_store() as other:
        lines = await _all_lines(other, "k1")
        _must(lines == b"".join(writer.lines), "An append must be durable before it is answered.")
        await store.delete("k1")
        _must(await other.read("k1", 0) is None, "A delete must be durable before it is answered.")


def _begun(description: str) -> tuple[e.Event, ...]:
    """A task whose writing step has started."""
    return (e.TaskCreated(description), e.TaskQueued(0, 1), e.TaskStarted(1), STARTED)

"""The whole system in one nursery: `open_system(settings)`, and its verbs.

    async with open_system(Settings(data_dir=None)) as system:
        task = await system.create("Compare threads and async I/O for a web server")
        async for event in system.execute(task.task_id):
            print(event.seq, event.event_type, event.data)

Rule: the lifetime is the block. Leaving it stops every actor. If an actor fails for good, the block
is cancelled and raises the failure.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Self, TypeVar

import trio

from actors.agents.plugin import load_plugins
from actors.clock import Now, wall_clock
from actors.errors import (
    ActorError,
    ActorStopped,
    CancelUnfinished,
    Overloaded,
    TaskNotFound,
    TaskUnreadable,
)
from actors.fetching.fetcher import Fetcher, FetchLimits
from actors.journal.follower import Closing, Follower
from actors.journal.journal import CommittedView, Journal
from actors.journal.ledger import Window
from actors.journal.log import SNAPSHOT_EVERY, IndexPage, Store
from actors.journal.memory import MemoryStore
from actors.journal.sqlite import open_sqlite_store
from actors.journal.tail import TailBounds
from actors.library.documents import Added
from actors.library.encoders.encoder import encoder_loader
from actors.library.library import Library, open_library
from actors.messages import Cancel, Create, Drain, Execute, Forget, Ping, Recover, Retry
from actors.models.factory import open_models
from actors.runs.live_tasks import LiveTasks
from actors.runs.run import RunLimits
from actors.runs.supervisor import Slots, Supervisor
from actors.runtime import (
    NO_RESTARTS,
    Actor,
    ActorHandle,
    ActorInfo,
    Backoff,
    Request,
    spawn,
)
from actors.runtime.fairness import APPENDS_PER_TICK
from actors.runtime.loop_watch import watched_loop
from actors.settings import Settings
from actors.tasks.budget import NO_BUDGET, Budget
from actors.tasks.events import Stamped, TaskCompleted, decode
from actors.tasks.evidence import Source
from actors.tasks.life import Task, TaskStatus
from actors.tools import open_tools
from actors.wiring import AgentSpec, addresses, agent_specs, built_in_agents

R = TypeVar("R")

SUPERVISOR_MAILBOX = 1024
"""The least; it has room for a burst of as many tasks as may wait for a slot."""

JOURNAL_MAILBOX = 1024


@dataclass(frozen=True, slots=True)
class Tuning:
    """Internal bounds, which are no settings: nobody can know better values.

    `supervisor_concurrency`: requests that the supervisor handles at once, each a Trio task. `tail`:
    committed events of a task in memory. `window`: how far a run may be ahead of the disk.
    `snapshot_every`: events from one snapshot of a task to the next.
    """

    supervisor_concurrency: int = 64
    tail: TailBounds = field(default_factory=TailBounds)
    window: Window = field(default_factory=Window)
    snapshot_every: int = SNAPSHOT_EVERY


TUNING = Tuning()


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """An agent as `GET /agents` shows it; `retries` counts attempts of its steps after the first.

    `problem` says why it cannot work, if it cannot: its state is then "unavailable".
    """

    name: str
    description: str
    state: str
    mailbox_depth: int
    mailbox_capacity: int
    in_flight: int
    concurrency: int
    restarts: int
    retries: int
    problem: str | None


class System:
    """The verbs of the HTTP API without HTTP. Get one from `open_system`."""

    def __init__(
        self,
        settings: Settings,
        library: Library,
        tasks: LiveTasks,
        supervisor: ActorHandle,
        journal: ActorHandle,
        agents: Mapping[str, ActorHandle],
        specs: Mapping[str, AgentSpec],
    ) -> None:
        self.settings = settings
        self.library = library
        self._tasks = tasks
        self._view = tasks.view
        self._supervisor = supervisor
        self._agents = agents
        self._specs = specs
        self._actors = [supervisor, journal, *agents.values()]
        self._fetcher = Fetcher(FetchLimits.of(settings))

    # --- tasks ------------------------------------------------------------------------------

    async def create(
        self,
        task_description: str,
        *,
        deadline_s: float | None = None,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        context_task_id: str | None = None,
        budget: Budget = NO_BUDGET,
        owner: str | None = None,
    ) -> Task:
        """A new task, pending, that belongs to `owner`.

        Raises `InvalidRequest`, `Overloaded`, `Draining`.

        With `context_task_id` it follows up a completed task, whose report and sources are evidence.
        """
        request = Create(
            task_description,
            deadline_s,
            metadata or {},
            idempotency_key,
            context_task_id,
            budget,
            owner,
        )
        return await self._ask(request)

    async def start(self, task_id: str) -> Task:
        """Start a pending task; it is returned as it was queued. Any other stays as it is."""
        return await self._ask(Execute(task_id))

    def execute(self, task_id: str, *, after: int = 0) -> EventCursor:
        """Start a pending task, or attach to it: its events by iteration, from `after` + 1 on."""
        return EventCursor(self, task_id, after)

    async def follow(self, task_id: str, *, after: int = 0, follow: bool = True) -> Follower:
        """The log as the bytes of its lines, in pieces; starts nothing."""
        return await Follower.open(self._view, task_id, after, follow=follow)

    async def status(self, task_id: str) -> Task:
        """Where a task stands, as far as it is in the log. Raises `TaskNotFound`."""
        return await self._view.task(task_id)

    async def report(self, task_id: str) -> tuple[str | None, tuple[Source, ...]]:
        """The text of the report as far as it is written, and its sources once it is complete."""
        task = await self.status(task_id)
        if task.final_output is None:
            return task.partial_output, ()
        follower = await self.follow(task_id, after=task.last_seq - 1, follow=False)
        async for piece in follower:
            ending = decode(piece.lines).event
            if isinstance(ending, TaskCompleted):
                return ending.final_output, ending.sources
        raise TaskNotFound(f"There is no task {task_id}.")

    async def tasks(
        self,
        *,
        status: TaskStatus | None = None,
        limit: int = 50,
        before: int | None = None,
        owner: str | None = None,
    ) -> IndexPage:
        """Tasks without their steps and texts, newest first; only those of `owner` if it is given."""
        return await self._view.store.page(status, limit, before, owner)

    async def owner(self, task_id: str) -> str | None:
        """Whose task it is, also if it is damaged. Raises `TaskNotFound`."""
        try:
            return (await self.status(task_id)).owner
        except TaskUnreadable:
            return await self._view.store.owner(task_id)

    async def cancel(self, task_id: str, reason: str | None = None) -> Task:
        """Answer when no agent works for the task any more and the log says that it is cancelled.

        Raises `IllegalState` if it ended in another way, `CancelUnfinished` if work does not stop.
        """
        with trio.move_on_after(self.settings.cancel_timeout_s):
            return await self._supervisor.ask(Cancel(task_id, reason))
        raise CancelUnfinished("The work has not stopped yet. Ask again in a moment.")

    def cancel_soon(self, task_id: str, reason: str) -> None:
        """Cancel without waiting, for a client that has left; a task that has ended stays as it is."""
        if not self.draining:  # While draining, it is the server that closes connections.
            self._tasks.runs.start_soon(self._cancel_quietly, task_id, reason)

    async def _cancel_quietly(self, task_id: str, reason: str) -> None:
        with contextlib.suppress(ActorError):
            await self.cancel(task_id, reason)

    async def retry(self, task_id: str) -> Task:
        """Resume a failed or cancelled task; returns it as it was queued again.

        Its `last_seq` is that of its `task_queued`, the first event after the last ending.
        """
        return await self._ask(Retry(task_id))

    async def delete(self, task_id: str) -> None:
        """Forget a task that is pending or has ended, with its events."""
        await self._ask(Forget(task_id))

    # --- documents --------------------------------------------------------------------------

    async def add_page(
        self,
        url: str,
        *,
        title: str | None = None,
        owner: str | None = None,
        by: str | None = None,
    ) -> Added:
        """Fetch a web page into the library; it replaces what came from this URL before.

        Raises what `Library.add` does, `FetchRefused`, `FetchFailed` and `Overloaded`.
        """
        if self._fetcher.is_full:
            raise Overloaded(
                "Too many pages are being fetched. Send the request again in a moment."
            )
        page = await self._fetcher.fetch(url)
        return await self.library.add(
            page.body,
            media_type=page.media_type,
            title=title,
            file_name=page.file_name,
            source=page.url,
            owner=owner,
            by=by,
        )

    # --- the system itself ------------------------------------------------------------------

    async def drain(self, grace_s: float) -> None:
        """Refuse new work, let steps go on for `grace_s` seconds, stop the runs, end the streams."""
        await self._supervisor.ask(Drain(grace_s))
        self._view.close_streams("draining")

    async def ping(self) -> None:
        """Returns once the supervisor and the journal have answered.

        Raises `ActorStopped` if an actor has ended, though the system has not, and
        `StorageUnavailable` while the log or the library cannot be written.
        """
        for actor in self._actors:
            if actor.info().state == "stopped":
                raise ActorStopped(f"The actor {actor.name} has stopped. Restart the server.")
        await self._supervisor.ask(Ping())
        await self._tasks.journal.ask(Ping())
        await self._view.store.check()
        await self.library.check()

    @property
    def draining(self) -> bool:
        """Whether new work is refused."""
        return self._tasks.draining

    def agents(self) -> list[AgentInfo]:
        """The agents and their figures."""
        found = []
        for name, agent in self._agents.items():
            info, spec = agent.info(), self._specs[name]
            problem = spec.problem() or None
            found.append(
                AgentInfo(
                    name=name,
                    description=spec.description,
                    state="unavailable" if problem and info.state == "running" else info.state,
                    mailbox_depth=info.depth,
                    mailbox_capacity=info.capacity,
                    in_flight=info.in_flight,
                    concurrency=info.concurrency,
                    restarts=info.restarts,
                    retries=self._tasks.retries[name],
                    problem=problem,
                )
            )
        return found

    def tree(self) -> list[ActorInfo]:
        """Every actor: its state, mailbox, calls in flight and restarts."""
        return [actor.info() for actor in self._actors]

    def gauges(self) -> dict[str, int]:
        """The current size of every bounded resource."""
        tasks = self._tasks
        return {
            "running_tasks": tasks.running,
            "queued_tasks": len(tasks.queue),
            "pending_tasks": tasks.pending.total(),
            **self._view.gauges(),
            **self.library.gauges(),
        }

    async def _ask(self, request: Request[R]) -> R:
        try:
            call = self._supervisor.send_nowait(request)
        except trio.WouldBlock:
            with trio.move_on_after(self.settings.room_wait_s) as waiting:
                call = await self._supervisor.send(request)
            if waiting.cancelled_caught:
                raise Overloaded(
                    "The server is busy and its queue is full. Send the request again in a moment."
                ) from None
        return await call.reply()


class EventCursor:
    """The events of one task by iteration. Leaving it early leaves the task running."""

    def __init__(self, system: System, task_id: str, after: int) -> None:
        self._system = system
        self._task_id = task_id
        self._after = after
        self._follower: Follower | None = None
        self._lines: list[bytes] = []

    @property
    def closing(self) -> Closing | None:
        """Why the system ended the iteration before the task's ending, if it did."""
        return self._follower.closing if self._follower else None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Stamped:
        if self._follower is None:
            await self._system.start(self._task_id)
            self._follower = await self._system.follow(self._task_id, after=self._after)
        if not self._lines:
            piece = await self._follower.__anext__()
            self._lines = piece.lines.splitlines(keepends=True)[::-1]
        return decode(self._lines.pop())


@asynccontextmanager
async def open_system(
    settings: Settings | None = None,
    *,
    store: Store | None = None,
    library: Library | None = None,
    agents: Mapping[str, Callable[[], Actor]] | None = None,
    now: Now = wall_clock,
    rng: Random | None = None,
    tuning: Tuning = TUNING,
) -> AsyncIterator[System]:
    """A running system. Leaving the block stops it; unfinished tasks go on at the next start.

    `store`, `library`, `agents` (factories by name), `now` and `rng` replace the real ones, for tests
    and for programs that bring their own; `tuning` is for tests that reach its bounds.
    """
    settings = settings or Settings()
    plugins = load_plugins(settings.agents)
    async with (
        _open_store(settings, store) as the_store,
        _open_library(settings, library, now) as lib,
        open_tools(settings) as tools,
        open_models(settings) as models,
        # In virtual time a thread would disturb the order of the tasks.
        watched_loop() if now is wall_clock else contextlib.nullcontext(),
    ):
        orderly = await the_store.claim()
        built_in = built_in_agents(settings, lib, models, tools, plugins)
        specs = agent_specs(settings, {**built_in, **(agents or {})}, tools, plugins)
        async with trio.open_nursery() as nursery, trio.open_nursery() as runs:
            view = CommittedView(the_store, tuning.tail)
            journal = spawn(
                nursery,
                "journal",
                lambda: Journal(view),
                capacity=JOURNAL_MAILBOX,
                limit=NO_RESTARTS,
                calls_per_tick=APPENDS_PER_TICK,
            )
            handles = {
                name: spawn(
                    nursery, name, spec.make, capacity=spec.mailbox, concurrency=spec.concurrency
                )
                for name, spec in specs.items()
            }
            tasks = LiveTasks(view, journal, now, tuning.window, runs, tuning.snapshot_every)
            tasks.last_end = "shutdown" if orderly else "crash"
            run_agents = addresses(specs, handles, tools, plugins, settings.tools)
            supervisor = spawn(
                nursery,
                "supervisor",
                partial(
                    Supervisor, tasks, run_agents, _run_limits(settings, now, rng), _slots(settings)
                ),
                capacity=max(SUPERVISOR_MAILBOX, settings.max_queued_tasks),
                concurrency=tuning.supervisor_concurrency,
            )
            await supervisor.ask(Recover())
            system = System(settings, lib, tasks, supervisor, journal, handles, specs)
            yield system
            await system.drain(0)
            runs.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
        await the_store.release()


def _run_limits(settings: Settings, now: Now, rng: Random | None) -> RunLimits:
    return RunLimits(
        Backoff(settings.retry_delays_s, settings.retry_jitter),
        settings.step_timeout_s,
        settings.max_task_s,
        Budget(settings.max_task_tokens, settings.max_plan_steps, settings.max_output_bytes),
        now,
        rng or Random(int.from_bytes(os.urandom(8))),
    )


def _slots(settings: Settings) -> Slots:
    return Slots(
        settings.max_running_tasks,
        settings.max_queued_tasks,
        settings.max_pending_tasks,
        settings.key_running_tasks,
    )


@asynccontextmanager
async def _open_store(settings: Settings, store: Store | None) -> AsyncIterator[Store]:
    if store is not None:
        yield store
    elif settings.data_dir is None:
        yield MemoryStore()
    else:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        async with open_sqlite_store(settings.data_dir / "log.db") as opened:
            yield opened


@asynccontextmanager
async def _open_library(
    settings: Settings, library: Library | None, now: Now
) -> AsyncIterator[Library]:
    if library is not None:
        yield library
    else:
        encoder = encoder_loader(settings.encoder, settings.encoder_model)
        async with open_library(settings.data_dir, now=now, encoder=encoder) as opened:
            yield opened

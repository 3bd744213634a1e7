"""Clients of a server that may be killed at any moment; their answers go into the facts.

Rule: an error must be one that API.md allows at that point, and a broken connection must be caused by
a kill or a stop. Anything else is a finding.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import httpx

from .facts import ENDINGS, FINAL, Broken, Facts, TaskFacts

ASYNC = {"Prefer": "respond-async"}
TORN_BYTES = 20
"""A cut line that is shorter than that may belong to a note between events."""


class Cycle:
    """One life of the server, as its clients see it. `ending`: its kill or its stop has begun."""

    def __init__(self, number: int, http: httpx.AsyncClient, facts: Facts, rng: Random) -> None:
        self.number = number
        self.ending = False
        self.in_flight: Counter[str] = Counter()
        self._http = http
        self._facts = facts
        self._rng = rng
        self._creating: Counter[str] = Counter()

    async def work(self) -> None:
        """Do one thing after another until the server is gone."""
        deeds: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (5, self.create),
            (3, self.create_again),
            (8, lambda: self._on("pending", self.execute)),
            (4, lambda: self._on("pending", self.start)),
            (6, lambda: self._on("running", self.attach)),
            (4, lambda: self._on("running", self.cancel)),
            (1, lambda: self._on("pending", self.cancel)),
            (3, lambda: self._on("ended", self.retry)),
            (2, lambda: self._on("ended", self.delete)),
            (1, lambda: self._on("any", self.delete)),
            (4, lambda: self._on("any", self.status)),
            (6, lambda: self._on("any", self.check)),
            (1, self.listing),
        ]
        weights = [weight for weight, _ in deeds]
        while not self.ending:
            ((_, deed),) = self._rng.choices(deeds, weights)
            await self.attempt(deed)

    async def attempt(self, deed: Callable[[], Awaitable[object]]) -> None:
        """Do it; the server may go away meanwhile, but not without a reason."""
        try:
            await deed()
        except httpx.TransportError as gone:
            if not self.ending:
                what = f"{gone.request.method} {gone.request.url.path}"
                raise Broken(f"{what} broke off while the server lived: {gone!r}") from gone

    async def _on(self, kind: str, deed: Callable[[TaskFacts], Awaitable[None]]) -> None:
        """A task of the newest thirty that is thought to be in that state; it may not be."""
        newest = list(self._facts.tasks.values())[-30:] if kind != "any" else None
        found = newest or list(self._facts.tasks.values())
        states = {"pending": {"pending"}, "ended": FINAL, "running": {"queued", "executing"}}
        fitting = [
            task
            for task in found
            if not task.gone and not task.left_alone
            if kind == "any" or task.status in states[kind]
        ]
        if fitting:
            await deed(self._rng.choice(fitting))

    # --- requests ---------------------------------------------------------------------------

    async def _ask(
        self, verb: str, method: str, path: str, task: TaskFacts | None, **more: Any
    ) -> httpx.Response:
        """The answer, unless it was cut; what it says about the task's existence is noted."""
        was_gone = task is not None and bool(task.gone)
        self.in_flight[verb] += 1
        answer = await self._http.request(method, path, **more)
        self.in_flight[verb] -= 1  # Not for one that was cut: the kill found it in flight.
        self._judge(verb, answer, task, was_gone)
        return answer

    def _judge(
        self, verb: str, answer: httpx.Response, task: TaskFacts | None, was_gone: bool
    ) -> None:
        code = answer.status_code
        self._facts.answers[f"{verb} {code}"] += 1
        if code == 503 and self.ending:
            return
        allowed = {"create": {201}, "listing": {200}, "delete": {204, 409}}
        allowed |= {"status": {200}, "check": {200}, "attach": {200}, "cancel": {200, 409}}
        allowed |= {"execute": {200, 202, 503}, "retry": {200, 202, 409, 503}}
        if code == 404 and task is not None:
            task.missing(verb)
        elif code not in allowed[verb] or was_gone:
            raise Broken(f"{verb} was answered with {code}: {answer.text if code != 200 else ''}")
        elif task is not None and code != 204 and not task.gone:
            task.alive(self.number)

    # --- deeds ------------------------------------------------------------------------------

    async def create(self, key: str | None = None) -> None:
        """A new task, with a key or without, or one more request for one with a key."""
        facts = self._facts
        if key is None:
            facts.created += 1
            effect = ", with an effect" if facts.created % 3 == 0 else ""
            description = f"frogs{effect}, number {facts.created}"
            if self._rng.random() < 0.5:
                key = f"key {facts.created}"
                facts.keys[key] = description
            else:
                facts.unanswered.add(description)
        else:
            description = facts.keys[key]
        body: dict[str, Any] = {"task_description": description}
        if description.endswith("7"):
            body |= {"deadline_s": 1, "metadata": {"lives": "short"}}
        headers = {"Idempotency-Key": key} if key else {}
        self._creating[description] += 1
        answer = await self._ask("create", "POST", "/tasks", None, json=body, headers=headers)
        self._creating[description] -= 1
        if answer.status_code == 201:
            task = facts.exists(answer.json()["task_id"], description, key)
            task.alive(self.number)
            if len(facts.tasks) % 10 == 0 and task.deleting is None and task.status == "pending":
                task.left_alone = True
                await self.start(task)

    async def create_again(self) -> None:
        """The same key once more, whether or not it was ever answered."""
        if self._facts.keys:
            key = self._rng.choice(list(self._facts.keys)[-40:])
            await self.create(key)

    async def execute(self, task: TaskFacts) -> None:
        """Start it, or attach, and read some or all of its events."""
        dropping = self._rng.random() < 0.1
        query = {"on_disconnect": "cancel"} if dropping else {}
        await self._read("execute", task, "POST", "execute", query)

    async def start(self, task: TaskFacts) -> None:
        """Start it without a stream."""
        path = f"/tasks/{task.task_id}/execute"
        self._view(task, await self._ask("execute", "POST", path, task, headers=ASYNC))

    async def attach(self, task: TaskFacts) -> None:
        """Read on from somewhere."""
        await self._read("attach", task, "GET", "events", {})

    async def cancel(self, task: TaskFacts) -> None:
        """Cancel; the answer must say so."""
        path = f"/tasks/{task.task_id}/cancel"
        answer = await self._ask("cancel", "POST", path, task, json={"reason": "no frogs"})
        view = self._view(task, answer)
        if view is not None and view["status"] != "cancelled":
            raise Broken(f"a cancel was answered with {view}")

    async def retry(self, task: TaskFacts) -> None:
        """Let it go on, with a stream or without."""
        if self._rng.random() < 0.5:
            await self._read("retry", task, "POST", "retry", {})
        else:
            path = f"/tasks/{task.task_id}/retry"
            self._view(task, await self._ask("retry", "POST", path, task, headers=ASYNC))

    async def delete(self, task: TaskFacts) -> None:
        """Delete it, and its key is not used again, since it would make another task."""
        if self._creating[task.description]:
            return
        if task.key is not None:
            self._facts.keys.pop(task.key, None)
        task.deleting = self.number
        answer = await self._ask("delete", "DELETE", f"/tasks/{task.task_id}", task)
        if answer.status_code == 204:
            task.gone = task.gone or "delete"

    async def status(self, task: TaskFacts) -> None:
        """Ask where it stands."""
        path = f"/tasks/{task.task_id}/status"
        self._view(task, await self._ask("status", "GET", path, task))

    async def check(self, task: TaskFacts) -> None:
        """Compare its whole log with all that had been said of it before."""
        last, views, torn = max(task.lines, default=0), list(task.views), dict(task.torn)
        query = {"follow": "false"}
        path = f"/tasks/{task.task_id}/events"
        answer = await self._ask("check", "GET", path, task, params=query)
        if answer.status_code != 200:
            return
        if task.deleting is not None and b'{"event_type":"stream_closing"' in answer.content:
            return  # It was deleted while its log was read.
        task.check(answer.content, last, self.number)
        task.check_said(answer.content, views, torn)
        self._facts.checked += answer.content.count(b"\n")
        self._facts.checks += 1

    async def listing(self) -> list[dict[str, Any]]:
        """The newest tasks; each must be one that was asked for, once."""
        gone = {task.task_id for task in self._facts.tasks.values() if task.gone}
        answer = await self._ask("listing", "GET", "/tasks", None, params={"limit": 100})
        return self._known(answer.json()["tasks"], gone) if answer.status_code == 200 else []

    async def whole_listing(self) -> list[dict[str, Any]]:
        """All tasks, page by page."""
        found: list[dict[str, Any]] = []
        query: dict[str, Any] = {"limit": 200}
        gone = {task.task_id for task in self._facts.tasks.values() if task.gone}
        while True:
            answer = await self._ask("listing", "GET", "/tasks", None, params=query)
            found += answer.json()["tasks"]
            cursor = answer.json()["next_cursor"]
            query["cursor"] = cursor
            if cursor is None:
                return self._known(found, gone)

    def _known(self, tasks: list[dict[str, Any]], gone: set[str]) -> list[dict[str, Any]]:
        """Each is one that was asked for, once, and not deleted; lost answers are made good."""
        names = Counter(task["task_description"] for task in tasks)
        twice = [name for name, count in names.items() if count > 1]
        if twice:
            raise Broken(f"created twice: {twice}")
        wanted = {task.description for task in self._facts.tasks.values()}
        strange = names.keys() - wanted - self._facts.unanswered - set(self._facts.keys.values())
        if strange:
            raise Broken(f"nobody asked for {strange}")
        back = gone & {task["task_id"] for task in tasks}
        if back:
            found = [self._facts.tasks[task_id].gone for task_id in back]
            raise Broken(f"gone, as {found} was told, and listed again: {back}")
        keys = {description: key for key, description in self._facts.keys.items()}
        for name in names.keys() - wanted:
            (task_id,) = (t["task_id"] for t in tasks if t["task_description"] == name)
            self._facts.exists(task_id, name, keys.get(name))
        return tasks

    def _view(self, task: TaskFacts, answer: httpx.Response) -> dict[str, Any] | None:
        if answer.status_code not in (200, 202):
            return None
        view: dict[str, Any] = answer.json()
        task.said(view)
        return view

    # --- streams ----------------------------------------------------------------------------

    async def _read(
        self, verb: str, task: TaskFacts, method: str, route: str, query: dict[str, Any]
    ) -> None:
        """Read a stream from a place that is known, to its end or for a few events."""
        known = 0
        while known + 1 in task.lines:
            known += 1
        after = self._rng.choice([known, known, 0, self._rng.randint(0, known)])
        query = {**query, "after": after}
        most = self._rng.choice([None, None, None, self._rng.randint(1, 10)])
        was_gone = bool(task.gone)
        self.in_flight[verb] += 1
        path = f"/tasks/{task.task_id}/{route}"
        async with self._http.stream(method, path, params=query) as answer:
            if answer.status_code != 200:
                await answer.aread()
            self.in_flight[verb] -= 1
            self._judge(verb, answer, task, was_gone)
            if answer.status_code == 200:
                self.in_flight["streams"] += 1
                await self._lines(answer, task, after, most)
                self.in_flight["streams"] -= 1

    async def _lines(
        self, answer: httpx.Response, task: TaskFacts, after: int, most: int | None
    ) -> None:
        rest, seq, kind, closing = b"", after, "", None
        try:
            async for chunk in answer.aiter_raw():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if not line.startswith(b'{"seq":'):
                        closing = json.loads(line)
                        continue
                    seq += 1
                    event = task.line(line + b"\n", self.number)
                    kind = event["event_type"]
                    self._facts.lines += 1
                    if closing or event["seq"] != seq:
                        raise Broken(f"event {event['seq']} came where {seq} was due")
                    task.status = _status_after(kind, task.status)
                    if most is not None and seq - after >= most:
                        return
        except httpx.TransportError:
            if len(rest) > TORN_BYTES and rest.startswith(b'{"seq":'):
                task.torn[seq + 1] = rest
            raise
        self._check_end(task, seq, kind, closing, rest)

    def _check_end(
        self, task: TaskFacts, seq: int, kind: str, closing: dict[str, Any] | None, rest: bytes
    ) -> None:
        """A stream that ends well ends after an ending, or says why not."""
        if rest:
            raise Broken(f"a stream ended in the middle of a line: {rest!r}")
        if closing is not None:
            reason = closing["data"]["reason"]
            expected = {"draining": self.ending, "deleted": task.deleting is not None}
            if closing["event_type"] != "stream_closing" or not expected.get(reason):
                raise Broken(f"a stream was closed without a reason: {closing}")
        elif kind not in ENDINGS and (kind or not self._at_ending(task, seq)):
            raise Broken(f"the stream of {task.task_id} ended after event {seq}, {kind}")

    @staticmethod
    def _at_ending(task: TaskFacts, seq: int) -> bool:
        line = task.lines.get(seq)
        return line is not None and json.loads(line)["event_type"] in ENDINGS


def _status_after(kind: str, status: str) -> str:
    """What a client would think of the task now, to choose what to do next with it."""
    if kind in ENDINGS:
        return kind.removeprefix("task_")
    return {"task_created": status, "task_queued": "queued"}.get(kind, "executing")

"""A task that follows up a finished one: what that one found is evidence for it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from scripted import PASSAGE, Cast, NoLibrary, Script, ScriptedAnalyzer, scripted_system

from actors import Settings, System, Task, open_system
from actors.clock import virtual_clock
from actors.errors import IllegalState, InvalidRequest
from actors.messages import Analyze, Synthesize

NOTES = b"""# Frogs

Frogs sing at night because the cold air carries their song further than the air of the day does.

# Toads

Toads walk more than they jump, and they live far from water for most of the year.
"""


class Watching(ScriptedAnalyzer):
    """Keeps what it was asked."""

    def __init__(self, asked: list[Any]) -> None:
        super().__init__(Script(), Script())
        self._asked = asked

    async def handle(self, request: Any, call: Any) -> Any:
        self._asked.append(request)
        return await super().handle(request, call)


async def finished(system: System, description: str, **more: Any) -> Task:
    task = await system.create(description, **more)
    async for _ in system.execute(task.task_id):
        pass
    return await system.status(task.task_id)


async def test_what_a_task_has_found_is_evidence_for_the_next(autojump_clock: object) -> None:
    asked: list[Any] = []
    agents = Cast().factories() | {"analyzer": lambda: Watching(asked)}
    async with open_system(library=NoLibrary(), agents=agents, now=virtual_clock) as system:  # type: ignore[arg-type]
        first = await finished(system, "How do frogs sing?")
        await system.status(first.task_id)
        second = await system.create("And toads?", context_task_id=first.task_id)
        await system.delete(first.task_id)
        async for _ in system.execute(second.task_id):
            pass
    (before, after) = (one for one in asked if isinstance(one, Synthesize))
    assert before.context == ()
    assert (after.context[0].document_id, after.context[0].text) == (
        PASSAGE.document_id,
        PASSAGE.text,
    )
    assert [one.about for one in asked if isinstance(one, Analyze)] == ["", "How do frogs sing?"]


async def test_a_follow_up_cites_what_the_first_task_cited() -> None:
    async with open_system(Settings(data_dir=None)) as system:
        added = await system.library.add(NOTES, media_type="text/markdown", title="Animals")
        first = await finished(system, "Why do frogs sing at night?")
        await system.library.delete(added.document.document_id)
        alone = await finished(system, "When do they sing?")
        second = await finished(system, "When do they sing?", context_task_id=first.task_id)
    assert "Frogs sing at night" in (second.final_output or "")
    assert "Frogs sing at night" not in (alone.final_output or "")


async def test_only_a_completed_task_can_be_followed_up(autojump_clock: object) -> None:
    async with scripted_system() as system:
        pending = await system.create("frogs")
        with pytest.raises(IllegalState, match="is pending; only a completed one"):
            await system.create("toads", context_task_id=pending.task_id)
        with pytest.raises(InvalidRequest, match="context_task_id: there is no task"):
            await system.create("toads", context_task_id=str(uuid.uuid4()))
        assert [task.task_id for task in (await system.tasks()).tasks] == [pending.task_id]


async def test_the_context_of_a_task_belongs_to_its_key(autojump_clock: object) -> None:
    async with scripted_system() as system:
        first = await finished(system, "frogs")
        new: dict[str, Any] = {"idempotency_key": "one", "context_task_id": first.task_id}
        second = await system.create("toads", **new)
        assert (await system.create("toads", **new)).task_id == second.task_id
        with pytest.raises(InvalidRequest, match="Idempotency-Key"):
            await system.create("toads", idempotency_key="one")

"""A task whose model is at a scripted server, from plan to ending."""

from __future__ import annotations

import json
from typing import Any

import trio
from model_server import ModelServer, Reply, Says

from actors import Settings, open_system
from actors.tasks.budget import Budget
from actors.tasks.events import Stamped

TASK = "What is backpressure?"
PLAN_TEXT = json.dumps({"questions": [{"question": TASK, "search": "backpressure"}]})
PLAN = Says(PLAN_TEXT)
REPORT = Says("## Answer\n\nIt is a signal from a slow ", "consumer [1]. It is blue [99].\n")
DOCUMENT = b"Backpressure is a signal from a slow consumer to a fast producer to slow down."
GUARD_S = 30.0
"""A hang guard, never a wait."""


def settings_for(server: ModelServer, **more: Any) -> Settings:
    """One retry at once, and no last resort; `more` are other settings."""
    given = {"model": "openai:m", "openai_base_url": server.url, "retry_delays_s": (0.0,)}
    given |= {"fallback": (), **more}
    return Settings(data_dir=None, anthropic_base_url=server.url, **given)


async def run(server: ModelServer, *replies: Reply, **more: Any) -> list[Stamped]:
    """The log of a task to which the server gives these replies; the last one is repeated."""
    documents = more.pop("documents", {"Flow control": DOCUMENT})
    budget, deadline_s = more.pop("budget", Budget()), more.pop("deadline_s", None)
    server.will(*replies)
    with trio.fail_after(GUARD_S):
        async with open_system(settings_for(server, **more)) as system:
            for title, body in documents.items():
                await system.library.add(body, title=title)
            task = await system.create(TASK, budget=budget, deadline_s=deadline_s)
            return [event async for event in system.execute(task.task_id)]


def step(log: list[Stamped], kind: str, name: str) -> list[dict[str, Any]]:
    """What the events of this type tell of the step of this name."""
    return [e.data for e in log if e.event_type == kind and e.data.get("step") == name]

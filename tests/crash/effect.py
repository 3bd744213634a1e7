"""A plugin with an effect outside: it notes each call. For some tasks it kills its process."""

from __future__ import annotations

import os
import signal
from typing import Any, ClassVar

import trio
from pydantic import BaseModel

from actors import About


def calls_effect(description: str) -> bool:
    """Whether the plan of a task calls the plugin."""
    return "effect" in description or "killer" in description


class Ask(BaseModel):
    question: str


class Effect:
    """Notes "task_id/step_id!", and answers a little later unless it kills the process."""

    name, does, asks = "effect", "Has an effect outside.", Ask
    retries_s = (0.0,)
    chance: ClassVar[Any]

    async def handle(self, request: Ask, about: About) -> str:
        self.chance.note(f"{about.key}!")
        if "killer" in about.task_description:
            os.kill(os.getpid(), signal.SIGKILL)
        await trio.sleep(self.chance.rng.uniform(0, 0.03))
        return "The effect was had."

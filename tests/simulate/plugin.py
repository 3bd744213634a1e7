"""The plugin of the simulation: other people's code with effects, which may raise anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel

from actors import About

if TYPE_CHECKING:
    from .model import Model

AGENT = f"{__name__}:Odd"


class Ask(BaseModel):
    """What it is asked."""

    question: str


class Odd:
    """Does what the script of its task says. `model` is that of the program that runs."""

    name, does, asks = "odd", "Does what the script says.", Ask
    model: ClassVar[Model]

    async def handle(self, request: Ask, about: About) -> str:
        """The start of this attempt must be on the disk before."""
        model = self.model
        task_id, step_id = about.key.split("/")
        task = model.disk.task(task_id)
        if task is None or task.steps[step_id].status != "running":
            model.fail(
                f"{step_id} of {model.name(task_id)} has effects before its start is durable"
            )
        with model.at_work(about.key):
            async with model.odd[about.task_description].attempt(about.key):
                return "Frogs sing."

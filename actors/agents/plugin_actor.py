"""The actor that plays an agent of a person's own.

Rule: what it replies is checked and bounded before anybody sees it. Its mistakes are its own: they
are answered as a failure of its step, and never end the actor.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Annotated, Any

import trio
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from actors.agents.plugin import About, Plugin, UnusablePlugin
from actors.errors import ActorError, AgentFailed
from actors.messages import CallTool
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage

log = logging.getLogger(__name__)

MOST_PASSAGES = 24
MOST_CHARACTERS = 8_000
"""Characters of a passage; what is longer is cut."""
MOST_NAME = 300
"""Characters of a title, a section or a document's id."""


class _Reply(BaseModel):
    """A passage as it can be stored and read again."""

    model_config = ConfigDict(from_attributes=True)

    document_id: str
    title: str
    section: str
    position: Annotated[int, Field(ge=0, le=1_000_000_000)]
    text: str
    score: FiniteFloat


class PluginActor:
    """Plays one of a person's agents.

    Failure mode: as it says itself. "degrade": the task goes on without its passages.
    """

    def __init__(self, agent: Plugin) -> None:
        self.name, self.does = agent.name, agent.does
        self._read = agent.read
        try:
            self._agent = agent.make()
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            raise UnusablePlugin(f"The agent {self.name} cannot be made: {why}") from error

    async def handle(self, request: CallTool, call: Call[Any]) -> Evidence:
        """The passages it replies with; a text is a passage, too."""
        asked = self._read(request.arguments)
        about = About(request.key, request.question.text, request.task_description)
        try:
            replied = await self._agent.handle(asked, about)
        except ActorError:
            raise
        except BaseExceptionGroup as group:
            cancelled, errors = group.split(trio.Cancelled)
            if errors is not None:
                log.error("the agent %s failed", self.name, exc_info=errors)
            if cancelled is not None:
                raise cancelled from None  # The rest would pass for a failure of the whole system.
            raise self._failed(group) from None
        except Exception as error:
            log.error("the agent %s failed", self.name, exc_info=error)
            raise self._failed(error) from None
        return Evidence(request.question, tuple(self._passages(replied)))

    def _failed(self, error: BaseException) -> AgentFailed:
        kind = type(error).__name__
        return AgentFailed(f"The agent {self.name} failed ({kind}); the log says more.")

    def _passages(self, replied: Any) -> Iterable[Passage]:
        several = replied if isinstance(replied, list | tuple) else [replied]
        if not all(isinstance(one, str | Passage) for one in several):
            raise AgentFailed(
                f"The agent {self.name} replies with texts or passages, nothing else."
            )
        for number, one in enumerate(several[:MOST_PASSAGES], start=1):
            if isinstance(one, str):
                one = Passage(self.name, self.does, "", number, one)
            passage = self._checked(one)
            if passage.text.strip():
                yield passage

    def _checked(self, passage: Passage) -> Passage:
        try:
            given = _Reply.model_validate(passage)
        except ValidationError as error:
            first = error.errors()[0]
            raise AgentFailed(
                f"The agent {self.name} replies with a passage that cannot be used: "
                f"{first['loc'][0]}: {first['msg']}."
            ) from None
        return Passage(
            _cut(given.document_id, MOST_NAME),
            _cut(given.title, MOST_NAME),
            _cut(given.section, MOST_NAME),
            given.position,
            _cut(given.text, MOST_CHARACTERS),
            given.score,
        )


def _cut(text: str, most: int) -> str:
    """As much of it as is kept, without halves of surrogate pairs."""
    return text[:most].encode(errors="replace").decode()

"""Several models in order: the next one is asked when one does not answer.

Rule: once text has come from one, no other is asked, as it would say something else. Whoever
answered is named in `answered_by`; if that is not the name of this model, it was not the first.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Self

from actors.errors import ActorError, ModelRejected, ModelUnavailable, PromptTooLong
from actors.models.model import Answer, InvalidAnswer, M, Model, Prompt, TextStream
from actors.tasks.failure import Failure
from actors.usage import Usage

log = logging.getLogger(__name__)


def stood_in(model: Model, answered_by: str) -> Failure | None:
    """What is to be told if another model than the preferred one has answered."""
    if not answered_by or answered_by == model.name:
        return None
    message = f"{model.name} did not answer; {answered_by} did in its place."
    return Failure(ModelUnavailable.code, message)


class Fallback:
    """A `Model` made of several, the preferred one first. Its name is that one's."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models

    @property
    def name(self) -> str:
        return self._models[0].name

    @property
    def can_continue(self) -> bool:
        """Only if each of them can, as nobody knows which one will answer."""
        return all(model.can_continue for model in self._models)

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[TextStream]:
        """The answer of the first model that begins one; leaving the block stops it."""
        failures = _Failures()
        async with AsyncExitStack() as stack:
            for model in self._models:
                try:
                    async with AsyncExitStack() as attempt:
                        text = await attempt.enter_async_context(model.stream(prompt))
                        first = await anext(text, "")
                        stack.push_async_exit(attempt.pop_all())
                        break
                except PromptTooLong:
                    raise  # It may answer yet, when it is given less to read.
                except (ModelUnavailable, ModelRejected) as error:
                    failures.note(error)
            else:
                raise failures.error()
            yield _Begun(first, text, failures.spent)

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """The answer of the first model that gives one of this shape."""
        failures = _Failures()
        for model in self._models:
            try:
                answer = await model.structured(prompt, shape)
            except (ModelUnavailable, ModelRejected) as error:
                failures.note(error)
            else:
                return replace(answer, usage=answer.usage + failures.spent)
        raise failures.error()


class _Failures:
    """What went wrong with the models asked so far, and what that took."""

    def __init__(self) -> None:
        self.spent = Usage()
        self._errors: list[ActorError] = []

    def note(self, error: ActorError) -> None:
        log.warning("%s", error.message)
        self.spent += error.usage
        self._errors.append(error)

    def error(self) -> ActorError:
        """One error for all: worth another try if one of them is, when the first of those is.

        If one has answered in another shape, that is what is wrong.
        """
        if len(self._errors) == 1:
            return self._errors[0]
        told = "No model answers. " + " ".join(error.message for error in self._errors)
        passing = [error for error in self._errors if error.retryable]
        invalid = [error for error in self._errors if isinstance(error, InvalidAnswer)]
        if invalid:  # Whoever asked may ask again, and say what was wrong.
            return InvalidAnswer(told, invalid[0].text, self.spent)
        error = ModelUnavailable(told) if passing else ModelRejected(told)
        waits = [one.retry_after_s for one in passing]
        known = [wait for wait in waits if wait is not None]
        error.retry_after_s = min(known) if known and len(known) == len(waits) else None
        error.usage = self.spent
        return error


class _Begun:
    """A `TextStream` whose first text has come already."""

    def __init__(self, first: str, text: TextStream, spent: Usage) -> None:
        self._first = first
        self._text = text
        self._spent = spent

    @property
    def usage(self) -> Usage:
        return self._text.usage + self._spent

    @property
    def answered_by(self) -> str:
        return self._text.answered_by

    @property
    def cut_off(self) -> bool:
        return self._text.cut_off

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        if self._first:
            first, self._first = self._first, ""
            return first
        try:
            return await anext(self._text)
        except ActorError as error:
            error.usage += self._spent
            raise

"""Fallback: a list of models, of which the next one is asked if one does not answer.

An agent that may also work without a model does so as the last resort: see `worth_another_try`.

Rule: once one model has sent text, no other is asked, as its text would not fit. `answered_by`
names the model that answered; it differs from `name` if that was not the first one.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from actors.errors import ActorError, ModelRejected, ModelUnavailable, PromptTooLong
from actors.models.breaker import CircuitOpen
from actors.models.model import (
    Answer,
    InvalidAnswer,
    M,
    Model,
    ModelTooSlow,
    Prompt,
    TextStream,
    WrappedStream,
)
from actors.tasks.failure import Failure
from actors.usage import Usage

log = logging.getLogger(__name__)


def fallback_failure(model: Model, answered_by: str) -> Failure | None:
    """The failure to report if a fallback has answered instead of this model."""
    if not answered_by or answered_by == model.name:
        return None
    message = f"{model.name} did not answer; {answered_by} did in its place."
    return Failure(ModelUnavailable.code, message)


MAX_WAIT_S = 5.0
"""The longest wait for a model that an agent accepts if it may also work without one."""


def worth_another_try(error: ActorError, *, last_attempt: bool) -> bool:
    """Whether the step should be attempted again with the model, before the last resort.

    Not if the model was too slow, or will not answer within `MAX_WAIT_S`.
    """
    at_once = last_attempt or not error.retryable or isinstance(error, ModelTooSlow | CircuitOpen)
    return not at_once and (error.retry_after_s or 0.0) <= MAX_WAIT_S


class Fallback:
    """A `Model` over several, the preferred one first. It has the name of that one."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models

    @property
    def name(self) -> str:
        return self._models[0].name

    @property
    def can_continue(self) -> bool:
        """Only if every model can, as any of them may answer."""
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
                    raise  # The same model may answer a shorter prompt.
                except (ModelUnavailable, ModelRejected) as error:
                    failures.add(error)
            else:
                raise failures.error()
            yield _StartedStream(first, text, failures.spent)

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """The answer of the first model whose answer matches the type."""
        failures = _Failures()
        for model in self._models:
            try:
                answer = await model.structured(prompt, shape)
            except (ModelUnavailable, ModelRejected) as error:
                failures.add(error)
            else:
                return replace(answer, usage=answer.usage + failures.spent)
        raise failures.error()


class _Failures:
    """The errors of the models asked so far, and the usage of those attempts."""

    def __init__(self) -> None:
        self.spent = Usage()
        self._errors: list[ActorError] = []

    def add(self, error: ActorError) -> None:
        log.warning("%s", error.message)
        self.spent += error.usage
        self._errors.append(error)

    def error(self) -> ActorError:
        """One error for all. It is retryable if one of them is, after the shortest wait of those.

        If one is an `InvalidAnswer`, so is the result, so that the caller can ask for a correction.
        If only open circuits are worth another try, it is `CircuitOpen`; if any model was too slow,
        `ModelTooSlow`.
        """
        if len(self._errors) == 1:
            return self._errors[0]
        message = "No model answers. " + " ".join(error.message for error in self._errors)
        retryable = [error for error in self._errors if error.retryable]
        invalid = [error for error in self._errors if isinstance(error, InvalidAnswer)]
        if invalid:
            return InvalidAnswer(message, invalid[0].text, self.spent)
        waits = [one.retry_after_s for one in retryable]
        known = [wait for wait in waits if wait is not None]
        if retryable and all(isinstance(one, CircuitOpen) for one in retryable):
            return CircuitOpen(message, min(known))
        error: ActorError = ModelUnavailable(message) if retryable else ModelRejected(message)
        if any(isinstance(one, ModelTooSlow) for one in self._errors):
            error = ModelTooSlow(message)
        error.retry_after_s = min(known) if known and len(known) == len(waits) else None
        error.usage = self.spent
        return error


class _StartedStream(WrappedStream):
    """A `TextStream` whose first text has already come."""

    def __init__(self, first: str, stream: TextStream, spent: Usage) -> None:
        super().__init__(stream)
        self._first = first
        self._spent = spent

    @property
    def usage(self) -> Usage:
        return self._stream.usage + self._spent

    async def __anext__(self) -> str:
        if self._first:
            first, self._first = self._first, ""
            return first
        try:
            return await anext(self._stream)
        except ActorError as error:
            error.usage += self._spent
            raise

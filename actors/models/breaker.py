"""A circuit breaker: an endpoint that has failed several times in a row is left alone for a while.

    closed --failures in a row--> open --time--> half-open --one call answers--> closed
                                   ^                 `------it fails------> open

(M. Nygard, "Release It!".) A call is judged by its end, except that the first text of the one call
of the half-open state closes the circuit already, so that nobody waits for a long answer.

Rule: only an endpoint that does not answer counts as failing; a refusal is an answer, too. A call
that its caller gives up says nothing, and what a call says of an earlier state is not heard.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Self

import trio

from actors.errors import ModelRejected, ModelUnavailable
from actors.models.model import Answer, InvalidAnswer, M, Model, Prompt, TextStream
from actors.usage import Usage

FAILURES = 5
OPEN_S = 30.0
PROBE_S = 1.0
"""When to come back while another call finds out whether the endpoint answers again."""


class Circuit:
    """The state of one endpoint, for all models there."""

    def __init__(self, failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        self._most_failures = failures
        self._open_s = open_s
        self._failures = 0
        self._open_until: float | None = None
        self._is_probed = False
        self._state = 0

    @contextmanager
    def call(self, name: str) -> Iterator[Call]:
        """Leave to call the model of this name; raises `ModelUnavailable` while it has none."""
        call = self._enter(name)
        try:
            yield call
        finally:
            if call.is_probe and call.state == self._state:
                self._is_probed = False

    def _enter(self, name: str) -> Call:
        if self._open_until is None:
            return Call(self, self._state, is_probe=False)
        left_s = self._open_until - trio.current_time()
        if left_s > 0 or self._is_probed:
            wait_s = max(left_s, PROBE_S)
            error = ModelUnavailable(
                f"{name} has failed {self._failures} times in a row and is left alone"
                f" for {math.ceil(wait_s)} s."
            )
            error.retry_after_s = wait_s
            raise error
        self._is_probed = True
        return Call(self, self._state, is_probe=True)

    def began(self, call: Call) -> None:
        """Calls pass again; but failures stay counted until one has ended well."""
        if call.is_probe and call.state == self._state:
            self._open_until = None
            self._is_probed = False
            self._state += 1
            call.state = self._state

    def succeeded(self, call: Call) -> None:
        self.began(call)
        if call.state == self._state:
            self._failures = 0

    def failed(self, call: Call, retry_after_s: float | None) -> None:
        if call.state != self._state:
            return
        self._failures += 1
        if self._failures >= self._most_failures:
            self._open_until = trio.current_time() + max(self._open_s, retry_after_s or 0.0)
            self._is_probed = False
            self._state += 1


class Call:
    """One call, in the state that had this number."""

    def __init__(self, circuit: Circuit, state: int, *, is_probe: bool) -> None:
        self._circuit = circuit
        self.state = state
        self.is_probe = is_probe

    def began(self) -> None:
        """Some of the answer has come."""
        self._circuit.began(self)

    def succeeded(self) -> None:
        """All of the answer has come."""
        self._circuit.succeeded(self)

    @contextmanager
    def judged(self) -> Iterator[None]:
        """What is raised in the block says whether the endpoint answers."""
        try:
            yield
        except (InvalidAnswer, ModelRejected):
            self._circuit.succeeded(self)
            raise
        except ModelUnavailable as error:
            self._circuit.failed(self, error.retry_after_s)
            raise


class Breaker:
    """A `Model` behind the circuit of its endpoint."""

    def __init__(self, model: Model, circuit: Circuit) -> None:
        self._model = model
        self._circuit = circuit

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def can_continue(self) -> bool:
        return self._model.can_continue

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[TextStream]:
        """The answer as it is written; leaving the block stops it."""
        with self._circuit.call(self.name) as call:
            async with AsyncExitStack() as stack:
                with call.judged():
                    text = await stack.enter_async_context(self._model.stream(prompt))
                yield _Watched(text, call)

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this shape; raises `InvalidAnswer` when the model gives another."""
        with self._circuit.call(self.name) as call, call.judged():
            answer = await self._model.structured(prompt, shape)
            call.succeeded()
            return answer


class _Watched:
    """A `TextStream` whose end is told to the circuit."""

    def __init__(self, text: TextStream, call: Call) -> None:
        self._text = text
        self._call = call

    @property
    def usage(self) -> Usage:
        return self._text.usage

    @property
    def answered_by(self) -> str:
        return self._text.answered_by

    @property
    def cut_off(self) -> bool:
        return self._text.cut_off

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        with self._call.judged():
            try:
                piece = await anext(self._text)
            except StopAsyncIteration:
                self._call.succeeded()
                raise
        self._call.began()
        return piece

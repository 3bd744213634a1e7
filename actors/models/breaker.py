"""A circuit breaker: an endpoint that fails several times in a row gets no calls for a while.

    closed --failures in a row--> open --time--> half-open --one call answers--> closed
                                   ^                 `------it fails------> open

(M. Nygard, "Release It!".) The end of a call decides, with one exception: in the half-open state,
the first text of the probe closes the circuit, so that other calls need not wait for a long answer.

While it is open, a call raises `CircuitOpen`. A caller with something to fall back on does so at
once; for one without, `PatientModel` waits, so that no attempt of a step is spent on it.

Rule: only an endpoint that does not answer has failed; a refusal is an answer, too. A call that its
caller cancels counts neither way, and a call that began in an earlier state changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import trio

from actors.errors import ModelRejected, ModelUnavailable
from actors.models.model import (
    Answer,
    InvalidAnswer,
    M,
    Model,
    Prompt,
    TextStream,
    WrappedStream,
)

FAILURES = 5
OPEN_S = 30.0
PROBE_S = 1.0
"""When to retry while another call probes whether the endpoint answers again."""


class CircuitOpen(ModelUnavailable):
    """No call was made, because the circuit is open. `retry_after_s` says when to call again."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s: float = retry_after_s


class CircuitBreaker:
    """The state of one endpoint, shared by all models there."""

    def __init__(self, failures: int = FAILURES, open_s: float = OPEN_S) -> None:
        self._max_failures = failures
        self._open_s = open_s
        self._failures = 0
        self._open_until: float | None = None
        self._probe_runs = False
        self._state = 0

    @contextmanager
    def call(self, name: str) -> Iterator[GuardedCall]:
        """One call of the named model; raises `CircuitOpen` while the circuit is open."""
        call = self._enter(name)
        try:
            yield call
        finally:
            if call.is_probe and call.state == self._state:
                self._probe_runs = False

    def _enter(self, name: str) -> GuardedCall:
        if self._open_until is None:
            return GuardedCall(self, self._state, is_probe=False)
        left_s = self._open_until - trio.current_time()
        if left_s > 0 or self._probe_runs:
            wait_s = max(left_s, PROBE_S)
            raise CircuitOpen(
                f"{name} has failed {self._failures} times in a row and is not called again"
                f" for {math.ceil(wait_s)} s.",
                wait_s,
            )
        self._probe_runs = True
        return GuardedCall(self, self._state, is_probe=True)

    def began(self, call: GuardedCall) -> None:
        """Close the circuit. Failures stay counted until a call has succeeded."""
        if call.is_probe and call.state == self._state:
            self._open_until = None
            self._probe_runs = False
            self._state += 1
            call.state = self._state

    def succeeded(self, call: GuardedCall) -> None:
        self.began(call)
        if call.state == self._state:
            self._failures = 0

    def failed(self, call: GuardedCall, retry_after_s: float | None) -> None:
        if call.state != self._state:
            return
        self._failures += 1
        if self._failures >= self._max_failures:
            self._open_until = trio.current_time() + max(self._open_s, retry_after_s or 0.0)
            self._probe_runs = False
            self._state += 1


class GuardedCall:
    """One call, with the number of the state in which it began."""

    def __init__(self, circuit: CircuitBreaker, state: int, *, is_probe: bool) -> None:
        self._circuit = circuit
        self.state = state
        self.is_probe = is_probe

    def began(self) -> None:
        """The answer has begun."""
        self._circuit.began(self)

    def succeeded(self) -> None:
        """The answer is complete."""
        self._circuit.succeeded(self)

    @contextmanager
    def observed(self) -> Iterator[None]:
        """Record an error of the block as a failure of the endpoint, or as an answer."""
        try:
            yield
        except (InvalidAnswer, ModelRejected):
            self._circuit.succeeded(self)
            raise
        except ModelUnavailable as error:
            self._circuit.failed(self, error.retry_after_s)
            raise


class GuardedModel:
    """A `Model` behind the circuit breaker of its endpoint."""

    def __init__(self, model: Model, circuit: CircuitBreaker) -> None:
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
                with call.observed():
                    text = await stack.enter_async_context(self._model.stream(prompt))
                yield _ObservedStream(text, call)

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this type; raises `InvalidAnswer` if the model's answer does not match."""
        with self._circuit.call(self.name) as call, call.observed():
            answer = await self._model.structured(prompt, shape)
            call.succeeded()
            return answer


class PatientModel:
    """A `Model` that waits while its circuit is open, within the caller's deadline."""

    def __init__(self, model: Model) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def can_continue(self) -> bool:
        return self._model.can_continue

    @asynccontextmanager
    async def stream(self, prompt: Prompt) -> AsyncIterator[TextStream]:
        """The answer as it is written; leaving the block stops it."""
        async with AsyncExitStack() as stack:
            while True:
                try:
                    text = await stack.enter_async_context(self._model.stream(prompt))
                    break
                except CircuitOpen as error:
                    await trio.sleep(error.retry_after_s)
            yield text

    async def structured(self, prompt: Prompt, shape: type[M]) -> Answer[M]:
        """An answer of this type; raises `InvalidAnswer` if the model's answer does not match."""
        while True:
            try:
                return await self._model.structured(prompt, shape)
            except CircuitOpen as error:
                await trio.sleep(error.retry_after_s)


class _ObservedStream(WrappedStream):
    """A `TextStream` that reports its begin and end to the circuit breaker."""

    def __init__(self, stream: TextStream, call: GuardedCall) -> None:
        super().__init__(stream)
        self._call = call

    async def __anext__(self) -> str:
        with self._call.observed():
            try:
                text = await anext(self._stream)
            except StopAsyncIteration:
                self._call.succeeded()
                raise
        self._call.began()
        return text

"""Every error an actor may reply with.

Rule: an error carries a stable `code`, says whether trying again can help (`retryable`), and its
docstring says whose move is next. Code that retries asks `error.retryable`; it never lists classes.
The one table of codes is `CODES`, at the end, made from the classes themselves.
"""

from __future__ import annotations

from typing import ClassVar

from actors.usage import Usage


class ActorError(Exception):
    """An error that an actor replies with instead of a value."""

    code: ClassVar[str] = ""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after_s: float | None = None
        """Seconds after which another try makes sense, if the failed party named them."""
        self.usage = Usage()
        """What the attempt had used of language models."""


# --- The work of a step did not succeed -------------------------------------------------------


class AgentFailed(ActorError):
    """An agent worked and the work did not succeed; worth another try."""

    code = "agent_failed"
    retryable = True


class AgentCrashed(ActorError):
    """A bug stopped the agent in the middle of this request. It is rebuilt; worth another try."""

    code = "agent_crashed"
    retryable = True


class StepTimeout(ActorError):
    """One attempt took longer than a step may take; worth another try."""

    code = "step_timeout"
    retryable = True


class ModelUnavailable(ActorError):
    """The language model did not answer, or not usably; worth another try."""

    code = "model_unavailable"
    retryable = True


class ModelRejected(ActorError):
    """The model's provider refuses this request, or its key. The operator's move: the settings."""

    code = "model_rejected"


class PromptTooLong(ModelRejected):
    """The prompt exceeds the context of the model. A shorter one may be answered."""


class ToolFailed(ActorError):
    """A tool failed; worth another try."""

    code = "tool_failed"
    retryable = True


class FetchFailed(ActorError):
    """A web page could not be fetched this time; worth another try."""

    code = "fetch_failed"
    retryable = True


class FetchRefused(ActorError):
    """A web page is refused, by our rules or by its server. The caller's move: another URL."""

    code = "fetch_refused"


class InvalidPlan(ActorError):
    """The plan is not a graph that can be run. The same input gives the same plan: the person's move."""

    code = "invalid_plan"


class OutputTooLarge(ActorError):
    """The text outgrew what a task may write. The person's move: ask for less, or raise the limit."""

    code = "output_too_large"


class BudgetReached(ActorError):
    """The task has used what it was allowed to. The person's move: allow more, or ask for less."""

    code = "budget_reached"


class DeadlineExceeded(ActorError):
    """The task ran out of the time it was given. The person's move: retry, or allow more time."""

    code = "deadline_exceeded"


class Interrupted(ActorError):
    """The server went down during the last attempt that was left. The person's move: retry."""

    code = "interrupted"


# --- The request cannot be carried out --------------------------------------------------------


class InvalidRequest(ActorError):
    """A value is out of range or of the wrong shape. The caller's move: send another."""

    code = "invalid_request"


class TaskNotFound(ActorError):
    """There is no such task, or no longer. The caller's move: check the id."""

    code = "task_not_found"


class TaskUnreadable(ActorError):
    """A record of the task is damaged. The operator's move: restore a backup, or delete the task."""

    code = "task_unreadable"


class DocumentNotFound(ActorError):
    """There is no such document, or no longer. The caller's move: check the id."""

    code = "document_not_found"


class DocumentUnreadable(ActorError):
    """A record of the library is damaged. The operator's move: a backup, `terzetto doctor`, or delete it."""

    code = "document_unreadable"


class IllegalState(ActorError):
    """The task is not in a state that allows this. The caller's move: look at its status."""

    code = "illegal_state"


class UnsupportedMediaType(ActorError):
    """The library reads text, Markdown, HTML and PDF. The caller's move: convert it."""

    code = "unsupported_media_type"


class UnreadableDocument(ActorError):
    """No text could be read from these bytes. The caller's move: look at the file."""

    code = "unreadable_document"


class TooLarge(ActorError):
    """More bytes than are accepted here. The caller's move: send less."""

    code = "too_large"


class ExtraMissing(ActorError):
    """A setting needs an extra that is not installed. The operator's move: the command in the message."""

    code = "extra_missing"

    def __init__(self, extra: str, wanted_by: str) -> None:
        super().__init__(f"{wanted_by} needs the extra {extra}: pip install 'terzetto[{extra}]'")


# --- The server cannot do it now --------------------------------------------------------------


class Overloaded(ActorError):
    """A queue or a table is full. The caller's move: come back a little later."""

    code = "overloaded"
    retryable = True


class TooManyRequests(ActorError):
    """One owner asks for more than its share. The caller's move: come back a little later."""

    code = "too_many_requests"
    retryable = True


class Draining(ActorError):
    """The server is about to stop. The caller's move: come back when it is up again."""

    code = "draining"
    retryable = True


class StorageUnavailable(ActorError):
    """The log cannot be written, mostly for lack of space. The operator's move: make room."""

    code = "storage_unavailable"
    retryable = True


class CancelUnfinished(ActorError):
    """The work did not stop in time. The caller's move: send the cancel again."""

    code = "cancel_unfinished"
    retryable = True


class ActorStopped(ActorError):
    """The actor ended before it answered. The operator's move: the system is going down."""

    code = "actor_stopped"


class AskCycle(ActorError):
    """An actor asked an actor that waits for it, which would hang. A bug: the developer's move."""

    code = "ask_cycle"


def leaf_errors(error: BaseException) -> list[BaseException]:
    """The errors of an exception group, its nested groups unwrapped; `[error]` if it is no group."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for part in error.exceptions for leaf in leaf_errors(part)]


def _all(root: type[ActorError]) -> list[type[ActorError]]:
    return [found for sub in root.__subclasses__() for found in (sub, *_all(sub))]


CODES: dict[str, type[ActorError]] = {error.code: error for error in _all(ActorError)}
"""Every code an `ActorError` of this package carries, with its class."""


def error_with_code(code: str, message: str) -> ActorError:
    """The error of another process, from its code and message; the code is in `CODES`."""
    kind = CODES[code]
    error = kind.__new__(kind)
    ActorError.__init__(error, message)  # The initializers of some classes make the message.
    return error

"""How a command ends: its exit code, and what it says when it could not do its work.

Rule: every expected error becomes one message on stderr and one of these codes, here and only here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum

from actors.errors import ActorError, Draining, InvalidRequest, Overloaded, StorageUnavailable
from web.command.terminal import printable
from web.data_folder import FolderHeld, FolderUnusable
from web.settings.problems import SettingsError


class Exit(IntEnum):
    """Exit codes of `terzetto`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELLED_ELSEWHERE = 3
    BUSY = 75
    INTERRUPTED = 130
    PIPE_CLOSED = 141
    TERMINATED = 143


def say(message: str) -> None:
    """A line for the person, not for the pipe."""
    print(printable(message), file=sys.stderr, flush=True)


def answer_for(error: ActorError) -> Exit:
    """The exit code of a refusal: whose move is next, in a number."""
    match error:
        case InvalidRequest():
            return Exit.USAGE
        case Overloaded() | Draining() | StorageUnavailable():
            return Exit.BUSY
        case _:
            return Exit.FAILED


def ends_well(command: Callable[[], int]) -> int:
    """Run a command and turn the errors that may be expected of it into messages and codes."""
    try:
        return command()
    except BaseException as error:  # Whatever is not expected goes on, traceback and all.
        code = _tell(_only(error))
        if code is None:
            raise
        return code


def _only(error: BaseException) -> BaseException:
    """The error itself: nurseries wrap what their tasks raise in groups, often of one."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _tell(error: BaseException) -> Exit | None:
    match error:
        case BrokenPipeError():
            # Python would complain once more when it flushes stdout at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.PIPE_CLOSED
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case SettingsError():
            say(f"Terzetto cannot use these settings:\n{error}")
            return Exit.USAGE
        case FolderUnusable():
            say(f"terzetto: {error}")
            return Exit.USAGE
        case FolderHeld():
            say(f"terzetto: {error}")
            return Exit.BUSY
        case ActorError():
            say(f"terzetto: {error.message} [{error.code}]")
            return answer_for(error)
        case _:
            return None

"""What a command prints on stderr, and its exit code.

Rule: every expected error becomes one message on stderr and one exit code, in this module only.
Text from documents, models and servers may contain control characters: it goes through
`printable` before it is printed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from enum import IntEnum

from actors.errors import (
    ActorError,
    Draining,
    InvalidRequest,
    Overloaded,
    StorageUnavailable,
    leaf_errors,
)
from actors.sqlite_errors import DatabaseFailed, database_failed
from web.data_folder import FolderHeld, FolderLost, FolderUnusable
from web.settings.problems import SettingsError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


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


def printable(text: str) -> str:
    """The text without control characters, except line feeds and tabs."""
    return _CONTROL.sub("", text)


def one_line(text: str, width: int = 200) -> str:
    """The text on one line, cut with an ellipsis if it is longer than `width`."""
    line = " ".join(printable(text).split())
    return line if len(line) <= width else f"{line[: width - 1]}…"


def say(message: str) -> None:
    """Print a message on stderr, so that stdout carries only the result."""
    print(printable(message), file=sys.stderr, flush=True)


def say_error(error: ActorError) -> None:
    """Print the message and the code of an error on stderr."""
    say(f"terzetto: {error.message} [{error.code}]")


def exit_code_for(error: ActorError) -> Exit:
    """The exit code for an error: usage, busy (try again later) or failed."""
    match error:
        case InvalidRequest():
            return Exit.USAGE
        case Overloaded() | Draining() | StorageUnavailable():
            return Exit.BUSY
        case _:
            return Exit.FAILED


def exit_code_of(command: Callable[[], int]) -> int:
    """Run a command. Print each expected error and return its exit code; raise any other error."""
    try:
        return command()
    except BaseException as error:  # Unexpected errors are raised again, with their traceback.
        failed = database_failed(error)
        leaves = [failed] if failed else leaf_errors(error)
        code = _report(leaves[0]) if len(leaves) == 1 else None
        if code is None:
            raise
        return code


def _report(error: BaseException) -> Exit | None:
    match error:
        case BrokenPipeError():
            # Python flushes stdout at exit and would print a second error.
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
        case FolderLost() | DatabaseFailed():
            say(f"terzetto: {error}")
            return Exit.FAILED
        case FolderHeld():
            say(f"terzetto: {error}")
            return Exit.BUSY
        case ActorError():
            say_error(error)
            return exit_code_for(error)
        case _:
            return None

"""What a command prints when it fails, and its exit code.

Rule: every expected error becomes one message on stderr and one exit code, in this module only. The
result goes to stdout: if it cannot be written there, the command has failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from enum import IntEnum
from typing import TextIO

from actors.errors import (
    ActorError,
    Draining,
    InvalidRequest,
    Overloaded,
    StorageUnavailable,
    leaf_errors,
)
from web.command.process import OutputLost
from web.terminal import say


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
        code = command()
        sys.stdout.flush()  # Otherwise Python does it when it ends, and prints a traceback.
    except BaseException as error:  # Unexpected errors are raised again, with their traceback.
        from actors.sqlite_errors import database_failed

        failed = database_failed(error)
        leaves = [failed] if failed else leaf_errors(error)
        found = _report(leaves[0]) if len(leaves) == 1 else None
        if found is None:
            raise
        code = found
    finally:
        _drop_unwritten(sys.stdout)
        _drop_unwritten(sys.stderr)
    return code


def _report(error: BaseException) -> int | None:
    match error:
        case KeyboardInterrupt():
            return Exit.INTERRUPTED
        case BrokenPipeError():
            return Exit.PIPE_CLOSED
        case SystemExit() if isinstance(error.__context__, BrokenPipeError):
            return Exit.PIPE_CLOSED  # Rich has met it.
        case OutputLost():
            say(f"terzetto: the output cannot be written: {error.strerror}.")
            return Exit.FAILED
        case FileNotFoundError() if error.filename is None:
            say("terzetto: the working folder has been removed.")
            return Exit.FAILED
        case OSError():
            where = f"{error.filename}: " if error.filename else ""
            say(f"terzetto: {where}{str(error.strerror or error).rstrip('.')}.")
            return Exit.FAILED
        case ActorError():
            say_error(error)
            return exit_code_for(error)
        case _:
            return _report_refusal(error)


def _report_refusal(error: BaseException) -> int | None:
    # Imported here, because pydantic and the lock take a third of the time of `--help`.
    from actors.sqlite_errors import DatabaseFailed
    from web.data_folder import FolderHeld, FolderLost, FolderUnusable
    from web.settings.problems import SettingsError
    from web.signals import Stopped

    match error:
        case Stopped():
            return error.exit_code
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
        case _:
            return None


def _drop_unwritten(stream: TextIO) -> None:
    """Forget what cannot be written: Python would try again when it ends, and print a traceback."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

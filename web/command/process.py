"""The process of a command: Ctrl-C, and the three standard streams.

Rule: nothing is imported here that takes long, as Ctrl-C shows a traceback until `begin_process` is called.
"""

from __future__ import annotations

import io
import os
import signal
import sys

TYPE_CHECKING = False  # Importing `typing` takes longer than all else here.
if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputLost(OSError):
    """Stdout cannot be written. The person's move: make room, or write elsewhere."""


def begin_process() -> None:
    """Let Ctrl-C end the process quietly, and make the standard streams safe to use."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_closed_streams()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(sys.stdout.fileno(), "w", closefd=False)),
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        line_buffering=sys.stdout.isatty(),
    )
    for stream, errors in ((sys.stdin, "surrogateescape"), (sys.stderr, "backslashreplace")):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=errors)


class _Output(io.FileIO):
    """Stdout, whose errors say that they are its own."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputLost(error.errno, error.strerror) from None


def _open_closed_streams() -> None:
    """Open streams that are closed on /dev/null, lest a database get the number of stdout."""
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or os.fdopen(0, closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)

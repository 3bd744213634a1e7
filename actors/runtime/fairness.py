"""How much work is done between two ticks of the event loop, so that nothing holds up everything else.

A task that does not wait is not interrupted: what a thousand clients start at once would otherwise run
in one tick, and every other task, a cancel included, would wait for its end.

Rule: each number has a test that fails without it, or a benchmark that prints the longest tick without
it (`tests/bench/http_ticks.py`); a number that neither notices is deleted.
"""

from typing import Final

CALLS_PER_TICK: Final = 16
"""Calls that an actor's worker handles without a checkpoint, if none of them waits.
Noticed by `tests/test_regressions_load.py` (a busy actor that never yields)."""

APPENDS_PER_TICK: Final = 256
"""Appends that the journal takes, which is only queueing them. With `CALLS_PER_TICK` a commit of 500 busy
tasks holds 6 appends, and the first event comes 1.6 times as late (`tests/bench/speed`, commits)."""

REPLIES_PER_TICK: Final = 4
"""Appends of a commit that are answered at once; each answer wakes a run and its readers.
Noticed by `tests/test_regressions_load.py`."""

LINES_PER_TICK: Final = 100
"""Lines of a log that are folded at once when a task is loaded. Noticed by `tests/test_journal.py`."""

REQUESTS_PER_TICK: Final = 4
"""HTTP requests that begin; each takes up to a millisecond until it waits. Noticed by
`tests/test_http_server.py`; without it the longest tick of 600 clients is ten times as long."""

CLOSES_PER_TICK: Final = 4
"""Clients whose departure is handled. Noticed by `tests/test_http_server.py`."""

ACCEPTS_PER_TICK: Final = 16
"""Connections that a listener accepts. With one, as `trio.serve_listeners` does it, the last of a
thousand clients waits for a thousand ticks. Noticed by `tests/test_http_server.py`."""

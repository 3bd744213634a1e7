"""A simulated machine that runs systems, one after another: processes die, the disk survives.

Rule: a killed process does nothing more. No cleanup runs, nothing reaches the disk, and every
connection is cut.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random

import trio

from actors.clock import virtual_clock
from actors.journal.log import Store
from actors.journal.memory import MemoryStore
from actors.runtime import Actor, ProcessDied
from actors.settings import Settings
from actors.system import TUNING, System, Tuning, open_system
from actors.testing.faults import FaultyStore
from actors.testing.scripted import Cast, NoLibrary


class Machine:
    """Boots systems in memory with scripted agents. The running process writes to `disk` via `store`.

    Put faults into `machine.store.faults`. `last_end` says how the last process ended.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        agents: Mapping[str, Callable[[], Actor]] | None = None,
        disk: Store | None = None,
        jitter: Random | None = None,
        tuning: Tuning = TUNING,
    ) -> None:
        self.disk: Store = disk or MemoryStore()
        self.store = FaultyStore(self.disk)
        self.last_end = "shutdown"
        self._settings = settings or Settings()
        self._agents = agents or Cast().factories()
        self._jitter = jitter
        self._tuning = tuning
        self._process = trio.CancelScope()

    @asynccontextmanager
    async def boot(self) -> AsyncIterator[System]:
        """Run one process. Leaving the block shuts it down; `kill` ends the block silently."""
        self._process = process = trio.CancelScope()
        self.store = FaultyStore(self.disk, jitter=self._jitter, on_death=self.kill)
        self.last_end = "crash"
        try:
            with process:
                async with open_system(
                    self._settings,
                    store=self.store,
                    library=NoLibrary(),  # type: ignore[arg-type]
                    agents=self._agents,
                    now=virtual_clock,
                    rng=self._jitter or Random(0),
                    tuning=self._tuning,
                ) as system:
                    yield system
                self.last_end = "shutdown"
        except BaseExceptionGroup as group:
            _, other = group.split((ProcessDied, trio.Cancelled))
            if other is not None:
                raise other from None

    def kill(self) -> None:
        """End the running process as `kill -9` does: at once, with no orderly end."""
        self.store.die()
        self._process.cancel()

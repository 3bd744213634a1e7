"""`terzetto mcp` whose tasks never end: `python mcp_stuck_command.py FILE [FLAGS]` records each cancel."""

from __future__ import annotations

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from command_fakes import FakeService, Log, opened

from web.command import main, services

notes = Path(sys.argv[1])


class Stuck(FakeService):
    async def cancel(self, task_id: str, reason: str | None = None) -> dict[str, Any]:
        notes.write_text(str(reason))
        return await super().cancel(task_id, reason)


def open_service(settings: Any) -> AbstractAsyncContextManager[Any]:
    log = Log().until_writing()
    return opened(Stuck(log.lines(), stays_open=log))


services.open_service = open_service  # type: ignore[assignment]
sys.exit(main(["mcp", *sys.argv[2:]]))

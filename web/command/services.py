"""Who answers a command: the server that has the data folder, or this process itself.

Rule: only the holder of the folder's lock opens what is in it; everybody else goes through the
holder, over HTTP, or is told to wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from web.data_folder import FolderHeld, hold, running_server
from web.service import Service
from web.settings.model import ServerSettings


@asynccontextmanager
async def open_service(settings: ServerSettings) -> AsyncIterator[Service]:
    """The service of the data folder; raises `FolderHeld` if nobody there can be asked."""
    with ExitStack() as held:
        try:
            held.enter_context(hold(settings.data_dir))
        except FolderHeld:
            url = running_server(settings.data_dir)
            if url is None:
                raise FolderHeld(
                    f"Another terzetto command is using {settings.data_dir}; "
                    "wait for it or use --data."
                ) from None
            from web.client import open_http

            async with open_http(url) as http:
                yield http
        else:
            from web.local import open_local

            async with open_local(settings) as local:
                yield local

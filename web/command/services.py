"""Choose the service for a command: the server that uses the data folder, or this process.

Rule: only the process that holds the folder's lock opens the log and the library. Any other process
sends its requests to that one over HTTP, or fails with `FolderHeld`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager

from web.data_folder import FolderHeld, hold, running_server, watched
from web.service import Service
from web.settings.model import ServerSettings

OpenService = Callable[[], AbstractAsyncContextManager[Service]]


@asynccontextmanager
async def open_service(settings: ServerSettings) -> AsyncIterator[Service]:
    """The service of the data folder. Raises `FolderHeld` if the holder is no server."""
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

            async with open_local(settings) as local, watched(settings.data_dir):
                yield local

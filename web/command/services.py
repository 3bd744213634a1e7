"""Choose the service for a command: a server elsewhere, the one of the data folder, or this process.

Rule: only the process that holds the folder's lock opens the log, the library and the keys. Any other
process sends its requests to that one over HTTP, with the token of `server.json`, or fails with
`FolderHeld`. A server elsewhere wants the key of `TERZETTO_API_KEY`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from web.data_folder import FolderHeld, FolderUnusable, hold, running_server, watched
from web.service import Service
from web.settings.environment import KEY_FILE_VARIABLE, KEY_VARIABLE
from web.settings.model import ServerSettings

if TYPE_CHECKING:
    from web.client import HttpService

OpenService = Callable[[], AbstractAsyncContextManager[Service]]


@asynccontextmanager
async def open_service(settings: ServerSettings) -> AsyncIterator[Service]:
    """The service of the data folder. Raises `FolderHeld` if the holder is no server."""
    with ExitStack() as held:
        async with hold_or_connect(settings, held) as http:
            if http is not None:
                yield http
                return
        from web.local import open_local

        async with open_local(settings) as local, watched(settings.data_dir):
            yield local


@asynccontextmanager
async def hold_or_connect(
    settings: ServerSettings, held: ExitStack
) -> AsyncIterator[HttpService | None]:
    """A client of the server to ask; None if this process holds the folder now, until `held` ends."""
    if settings.server is not None:
        url, key = settings.server, api_key(os.environ)
    else:
        try:
            held.enter_context(hold(settings.data_dir))
        except FolderHeld:
            served = running_server(settings.data_dir)
            if served is None:
                raise FolderHeld(
                    f"Another terzetto command is using {settings.data_dir}; "
                    "wait for it or use --data."
                ) from None
            url, key = served
        else:
            yield None
            return
    from web.client import open_http

    async with open_http(url, key, here=settings.server is None) as http:
        yield http


def api_key(environment: Mapping[str, str]) -> str:
    """The key for a server elsewhere; "" if none is named. Raises `FolderUnusable`."""
    if key := environment.get(KEY_VARIABLE, "").strip():
        return key
    if not (file := environment.get(KEY_FILE_VARIABLE)):
        return ""
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise FolderUnusable(f"{KEY_FILE_VARIABLE}: {file} cannot be read: {why}.") from None

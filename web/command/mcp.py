"""`terzetto mcp`: tasks and the library for clients of the Model Context Protocol.

Rule: what the extra `mcp` brings is imported here and not before.
"""

from __future__ import annotations

from functools import partial

from actors.errors import ExtraMissing
from web.command.services import open_service
from web.settings.model import ServerSettings


async def serve_tools(settings: ServerSettings, *, over_http: bool) -> int:
    """Serve until the client leaves or a signal comes. Raises `ExtraMissing`."""
    try:
        from web.mcp.server import serve_mcp
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] in ("actors", "web"):
            raise
        raise ExtraMissing("mcp", "terzetto mcp") from None
    return await serve_mcp(partial(open_service, settings), settings if over_http else None)

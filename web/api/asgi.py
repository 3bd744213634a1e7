"""An ASGI app that brings its own system, for a server that is started by its own command.

The system lives inside the ASGI lifespan. Rule: a server whose system has died ends; answering 500
for ever would be worse.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from quart_trio import QuartTrio

Scope = Any


class App:
    """Settings come from the environment and the TOML file, as for `terzetto serve`."""

    def __init__(self) -> None:
        self._app: QuartTrio | None = None

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._app is not None, "the server must run the ASGI lifespan"
            await self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        # Imported here, so that commands, which import the package `web` as well, start fast.
        from hypercorn.utils import LifespanFailureError

        from actors.system import open_system
        from web.access.audit import audited
        from web.api.app import create_app
        from web.data_folder import hold
        from web.settings.sources import load_settings

        try:
            async with AsyncExitStack() as stack:
                settings = load_settings().settings
                stack.enter_context(hold(settings.data_dir))
                stack.enter_context(audited(settings.data_dir))
                system = await stack.enter_async_context(open_system(settings))
                self._app = create_app(system, settings)
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await system.drain(settings.grace_s)
        except Exception as failure:
            # Of all errors, only this one makes Hypercorn end instead of going on without us.
            raise LifespanFailureError("system", str(failure)) from failure
        await send({"type": "lifespan.shutdown.complete"})


app = App()

"""An ASGI app that brings its own system, for a server that is started by its own command.

The system lives inside the ASGI lifespan. Rule: a server whose system has died ends; answering 500
for ever would be worse.
"""

from __future__ import annotations

TYPE_CHECKING = False  # Importing `typing` takes longer than all else here.
if TYPE_CHECKING:
    from typing import Any

    from quart_trio import QuartTrio


class App:
    """Settings come from the environment and the TOML file, as for `terzetto serve`."""

    def __init__(self) -> None:
        self._app: QuartTrio | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            assert self._app is not None, "the server must run the ASGI lifespan"
            await self._app(scope, receive, send)

    async def _live(self, receive: Any, send: Any) -> None:
        # Imported here, so that commands, which import the package `web` as well, start fast.
        import logging
        from contextlib import AsyncExitStack

        from hypercorn.utils import LifespanFailureError

        from actors.errors import leaf_errors
        from actors.system import open_system
        from web.access.audit import audited
        from web.api.app import create_app
        from web.data_folder import hold, watched
        from web.settings.sources import load_settings

        try:
            async with AsyncExitStack() as stack:
                loaded = load_settings()
                for warning in loaded.warnings:
                    logging.getLogger(__name__).warning("%s", warning)
                settings = loaded.settings
                stack.enter_context(hold(settings.data_dir))
                stack.enter_context(audited(settings.data_dir))
                system = await stack.enter_async_context(open_system(settings))
                await stack.enter_async_context(watched(settings.data_dir))
                self._app = create_app(system, settings)
                await receive()
                await send({"type": "lifespan.startup.complete"})
                await receive()
                await system.drain(settings.grace_s)
        except Exception as failure:
            # Of all errors, only this one makes Hypercorn end instead of going on without us.
            (first, *_) = leaf_errors(failure)
            raise LifespanFailureError("system", str(first)) from failure
        await send({"type": "lifespan.shutdown.complete"})


app = App()

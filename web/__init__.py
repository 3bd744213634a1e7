"""The HTTP API of Terzetto, and its command line.

`web:app` is an ASGI app that runs its own system: `hypercorn --worker-class trio web:app`. A
program that embeds Terzetto serves a system of its own:

    settings = ServerSettings(bind="127.0.0.1:8000")

    async with open_system(settings) as system, trio.open_nursery() as nursery:
        urls = await nursery.start(partial(serve, create_app(system, settings), settings))

`serve` runs until it is cancelled.
"""

from web.api.asgi import app  # Not lazily: Hypercorn looks in the module's dictionary only.

TYPE_CHECKING = False  # The command sees to Ctrl-C as soon as this module is imported.
if TYPE_CHECKING:
    from web.api.app import create_app
    from web.server import serve
    from web.settings.model import ServerSettings

__all__ = ["ServerSettings", "app", "create_app", "serve"]

_HOMES = {
    "ServerSettings": "web.settings.model",
    "create_app": "web.api.app",
    "serve": "web.server",
}


def __getattr__(name: str) -> object:
    """Import a name when it is first used, so that commands start fast."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    return found

"""The HTTP face of Terzetto, and its command line.

`web:app` is an ASGI app that brings its own system: `hypercorn --worker-class trio web:app`.
"""

from web.api.asgi import app

__all__ = ["app"]

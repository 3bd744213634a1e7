"""Serves the page at `/` and its files below `/page/`.

Rule: the files are read once. The policy allows the page's own scripts and styles and nothing inline,
and the browser refuses to make markup out of strings, so that no text of a document or a model can
become either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import NotFound

MEDIA_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}

POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("connect", "img", "script", "style")),
        *(f"{kind} 'none'" for kind in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types lit-html",  # It makes templates of the strings in the page's own scripts.
    ]
)

HEADERS = {
    "Cache-Control": "no-cache",  # It asks each time, and gets a 304, so that an upgrade is seen.
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page. `etag` changes with its bytes."""

    body: bytes
    media_type: str
    etag: str


def add_page(app: QuartTrio) -> None:
    """Register the page with `app`."""
    app.add_url_rule("/", endpoint="page", view_func=_view("index.html"), methods=["GET"])
    app.add_url_rule("/page/<path:name>", endpoint="page file", view_func=_file, methods=["GET"])


def _view(name: str) -> Callable[[], Awaitable[Response]]:
    async def view() -> Response:
        return await _file(name)

    return view


async def _file(name: str) -> Response:
    file = page_files().get(name)
    if file is None:
        raise NotFound
    response = Response(file.body, 200, content_type=f"{file.media_type}; charset=utf-8")
    response.headers.update(HEADERS)
    response.set_etag(file.etag)
    if file.etag in request.if_none_match:
        response.status_code = 304
        response.set_data(b"")
    return response


@cache
def page_files() -> Mapping[str, PageFile]:
    """Every file of the page, by its path below `/page/`."""
    return dict(_read(files("web.page") / "files", ""))


def _read(folder: Traversable, path: str) -> list[tuple[str, PageFile]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _read(entry, f"{path}{entry.name}/")
        else:
            body = entry.read_bytes()
            kind = MEDIA_TYPES[entry.name.rpartition(".")[2]]
            found.append((path + entry.name, PageFile(body, kind, sha256(body).hexdigest()[:16])))
    return found

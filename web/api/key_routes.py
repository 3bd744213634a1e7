"""The routes of keys, for `terzetto keys` while a server holds the data folder.

Rule: only an admin key or the server's own data folder manages keys.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from web.access import audit
from web.access.keys import Key, Scope, lifetime
from web.api import views
from web.api.exchange import ApiResponse
from web.api.routing import RequestContext, Route, render


class NewKey(views.JsonBody):
    """A key to make. `expires` is a time such as 90d, 12h or 2w."""

    name: str
    scope: Scope = "write"
    expires: str | None = None
    take_over: bool = False


class KeyView(BaseModel):
    """A key, without what opens the server."""

    name: str
    scope: Scope
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class NewKeyView(KeyView):
    """A key that has just been made."""

    key: str


class KeyList(BaseModel):
    """All keys, oldest first."""

    keys: list[KeyView]


async def add(context: RequestContext[views.NoQuery, NewKey]) -> ApiResponse:
    new = context.body
    expires = lifetime(new.expires) if new.expires is not None else None
    key, secret = context.keys.add(new.name, new.scope, expires, take_over=new.take_over)
    _audit(context, "add", key)
    return render(201, key.shown(secret))


async def listing(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    return render(200, {"keys": [key.shown() for key in context.keys.all()]})


async def revoke(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    key = context.keys.revoke(context.path["name"])
    _audit(context, "revoke", key)
    return render(200, key.shown())


async def rotate(context: RequestContext[views.NoQuery, views.NoBody]) -> ApiResponse:
    key, secret = context.keys.rotate(context.path["name"])
    _audit(context, "rotate", key)
    return render(200, key.shown(secret))


def _audit(context: RequestContext[Any, Any], action: str, key: Key) -> None:
    who = context.principal.name or "(data folder)"
    audit.record(who, context.address, f"{action} key {key.name}", key.scope)


ROUTES = [
    Route("GET", "/keys", listing, "List the keys, without what opens the server", {200: KeyList}),
    Route(
        "POST",
        "/keys",
        add,
        "Make a key; it is shown in this answer only",
        {201: NewKeyView},
        body=NewKey,
        problems=(400, 409, 413, 415, 422, 503),
    ),
    Route(
        "DELETE",
        "/keys/{name}",
        revoke,
        "Revoke a key; its tasks are kept",
        {200: KeyView},
        problems=(422, 503),
    ),
    Route(
        "POST",
        "/keys/{name}/rotate",
        rotate,
        "Replace a key; it is shown in this answer only",
        {200: NewKeyView},
        problems=(409, 422, 503),
    ),
]

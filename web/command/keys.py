"""`terzetto keys`: make, list, replace and revoke the keys of a server.

Rule: the process that holds the data folder changes its keys, so while a server does, it is asked. A
key is printed once, on stdout.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import quote

from rich.console import Console
from rich.table import Table
from rich.text import Text

from web.access import audit
from web.access.keys import Key, Keys, Scope, lifetime
from web.client import HttpService
from web.command.services import hold_or_connect
from web.settings.model import ServerSettings
from web.terminal import say

Shown = dict[str, Any]
"""A key as the HTTP API shows it."""

SHOWN_AT_ADD = ("name", "key", "scope", "expires_at")


class KeyService(Protocol):
    """The four things that can be done with keys."""

    async def add(self, name: str, scope: Scope, expires: str | None, take_over: bool) -> Shown: ...

    async def all(self) -> list[Shown]: ...

    async def revoke(self, name: str) -> Shown: ...

    async def rotate(self, name: str) -> Shown: ...


class LocalKeys:
    """A `KeyService` over the file, in the process that holds the folder."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def add(self, name: str, scope: Scope, expires: str | None, take_over: bool) -> Shown:
        length = lifetime(expires) if expires is not None else None
        return self._done("add", *self._keys.add(name, scope, length, take_over=take_over))

    async def all(self) -> list[Shown]:
        return [key.shown() for key in self._keys.all()]

    async def revoke(self, name: str) -> Shown:
        return self._done("revoke", self._keys.revoke(name))

    async def rotate(self, name: str) -> Shown:
        return self._done("rotate", *self._keys.rotate(name))

    def _done(self, action: str, key: Key, secret: str | None = None) -> Shown:
        audit.record("(data folder)", "", f"{action} key {key.name}", key.scope)
        return key.shown(secret)


class HttpKeys:
    """A `KeyService` over HTTP."""

    def __init__(self, http: HttpService) -> None:
        self._ask = http.ask

    async def add(self, name: str, scope: Scope, expires: str | None, take_over: bool) -> Shown:
        new: Shown = {"name": name, "scope": scope, "take_over": take_over}
        return await self._ask(
            "POST", "/keys", json=new | ({"expires": expires} if expires is not None else {})
        )

    async def all(self) -> list[Shown]:
        return list((await self._ask("GET", "/keys"))["keys"])

    async def revoke(self, name: str) -> Shown:
        return await self._ask("DELETE", f"/keys/{quote(name, safe='')}")

    async def rotate(self, name: str) -> Shown:
        return await self._ask("POST", f"/keys/{quote(name, safe='')}/rotate")


@asynccontextmanager
async def open_keys(settings: ServerSettings) -> AsyncIterator[KeyService]:
    """The keys of the data folder, or those of its server, or of a server elsewhere."""
    with ExitStack() as held:
        async with hold_or_connect(settings, held) as http:
            if http is not None:
                yield HttpKeys(http)
            else:
                held.enter_context(audit.audited(settings.data_dir))
                yield LocalKeys(Keys(settings.data_dir))


def print_made(made: Shown, *, as_json: bool) -> None:
    """The new key alone on stdout, so that a script can take it; what to know on stderr."""
    if as_json:
        print(json.dumps({name: made[name] for name in SHOWN_AT_ADD}))
        return
    until = f" until {made['expires_at']}" if made["expires_at"] else ""
    say(f"The key {made['name']} ({made['scope']}){until}. It is shown only now:")
    print(made["key"])


def print_revoked(revoked: Shown, *, as_json: bool) -> None:
    """Say what has ended, and what has not."""
    if as_json:
        print(json.dumps(revoked))
    else:
        say(f"The key {revoked['name']} opens nothing any more. Its tasks are kept for the admin.")


def print_keys(keys: list[Shown], console: Console, *, as_json: bool) -> None:
    """A table of all keys."""
    if as_json:
        print(json.dumps({"keys": keys}))
        return
    if not keys:
        say("There are no keys, so the server answers this machine only.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Name", "Scope", "Created", "Expires", "Revoked"):
        table.add_column(column, no_wrap=True)
    for key in keys:
        cells = (key["name"], key["scope"], key["created_at"], key["expires_at"], key["revoked_at"])
        table.add_row(*(Text(cell or "") for cell in cells))
    console.print(table)

"""The gate before an ASGI app: which requests reach it, as whom, and what every response carries.

    what proxies say -> the client, its host and origin -> its key -> its rate -> its scope -> the app

Rule: a request that no rule lets in is refused before its body is read. It knows ASGI only, so that it
stands before the HTTP API and before MCP alike, under any server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from web.access import audit
from web.access.keys import ANYONE, Keys, Principal
from web.access.proxies import behind_proxies
from web.access.rates import Rates
from web.access.rules import PUBLIC, needed
from web.api.exchange import FIELDS, fields_of, inner_path
from web.api.problems import CONTENT_TYPE, KINDS, RequestProblem, problem_body
from web.settings.model import ServerSettings

PRINCIPAL = "terzetto.principal"
"""Where an app finds in its scope who makes the request."""

Send = Callable[[Any], Awaitable[None]]
HeaderLines = list[tuple[bytes, bytes]]

SECURITY: HeaderLines = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
"""What a response carries unless the app says otherwise."""

EXPOSED = b"Link, Location, Mcp-Session-Id, Preference-Applied, Retry-After, X-Rankers, X-Task-ID"
PREFLIGHT_AGE_S = b"600"
AUDITED_REFUSALS = (401, 403, 429)


@dataclass(slots=True)
class Passage:
    """One request on its way through the gate."""

    scope: Any
    headers: dict[str, str]
    principal: Principal | None = None
    retry_after_s: int | None = None
    added: HeaderLines = field(default_factory=list)

    @property
    def method(self) -> str:
        method: str = self.scope["method"]
        return method

    @property
    def client(self) -> str:
        """The address of the client; "" for one that came over a Unix socket."""
        return str((self.scope.get("client") or [""])[0])


class Gate:
    """An ASGI app that lets requests through to another one."""

    def __init__(self, app: Any, settings: ServerSettings, keys: Keys) -> None:
        self._app = app
        self._keys = keys
        self._insecure = settings.insecure
        self._proxies = settings.proxy_networks
        self._rates = Rates(settings.key_requests_per_s)
        self._origins = {origin.lower() for origin in settings.allowed_origins}
        named = (settings.address.host, *settings.allowed_hosts)
        self._hosts = {"localhost", *(name.lower() for name in named)}

    async def __call__(self, scope: Any, receive: Any, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Any, receive: Any, send: Send) -> None:
        fields = fields_of(scope)
        passage = Passage(scope, fields.first)
        responding = self._responding(passage, send)
        try:
            passage.scope = behind_proxies(scope, self._proxies)
            if passage.scope["headers"] is not scope["headers"]:
                fields = fields_of(passage.scope)
                passage.headers = fields.first
            self._check_place(passage)
            preflight = self._check_origin(passage)
            if preflight is None:
                passage.scope[PRINCIPAL] = self._admit(passage)
                passage.scope[FIELDS] = fields
        except RequestProblem as refused:
            await _refuse(passage, refused, responding)
            return
        if preflight is None:
            await self._app(passage.scope, receive, responding)
        else:
            await _respond(204, preflight, b"", responding)

    # --- which requests -----------------------------------------------------------------------

    def _check_place(self, passage: Passage) -> None:
        """Find out who it is. Without keys, only this machine is served, and only by its own names.

        Otherwise a web page could have a name of its own resolved to this machine (DNS rebinding).
        """
        self._keys.refresh()
        secret = _secret(passage.headers)
        passage.principal = self._keys.principal(secret) if secret else None
        if self._keys.required or passage.principal is not None:
            return
        if not (self._insecure or passage.client == "" or is_loopback(passage.client)):
            raise RequestProblem(
                "foreign_origin",
                "Without keys, this server answers clients on its own machine only. Add a key with "
                "`terzetto keys add NAME`, or set `insecure`.",
            )
        host = passage.headers.get("host") or "localhost"  # Browsers always send one.
        name = _host_name(f"//{host}")
        if name is None or not (name in self._hosts or is_loopback(name)):
            raise RequestProblem(
                "foreign_origin",
                f"This server does not answer requests for the host {host}. If that is a name of this "
                "machine, add it to the setting `allowed_hosts`.",
            )

    def _check_origin(self, passage: Passage) -> HeaderLines | None:
        """Refuse pages of other sites; the headers of the response if this is a preflight request."""
        origin = passage.headers.get("origin")
        host = passage.headers.get("host") or "localhost"
        if origin is None or _place(origin) == _place(f"//{host}"):
            return None
        if origin.lower() not in self._origins:
            raise RequestProblem(
                "foreign_origin",
                f"Pages of {origin} may not use this server. To allow them, add it to the setting "
                "`allowed_origins`; if it is this server behind a proxy, set `trusted_proxies`.",
            )
        passage.added = [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", EXPOSED),
            (b"vary", b"Origin"),
        ]
        method = passage.headers.get("access-control-request-method")
        if passage.method != "OPTIONS" or method is None:
            return None
        asked = passage.headers.get("access-control-request-headers", "")
        return [
            (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE"),
            (b"access-control-allow-headers", asked.encode("latin-1")),
            (b"access-control-max-age", PREFLIGHT_AGE_S),
        ]

    def _admit(self, passage: Passage) -> Principal:
        """As whom the request goes on."""
        path = inner_path(passage.scope)
        needs, principal = needed(passage.method, path), passage.principal
        if principal is None and not self._keys.required:
            principal = ANYONE
        if needs == PUBLIC:
            return principal or Principal("", "read")
        if principal is None:
            raise RequestProblem("unauthorized", self._why_unauthorized(passage.headers))
        if principal.name is not None:
            passage.retry_after_s = self._rates.wait_s(principal.name)
            if passage.retry_after_s:
                raise RequestProblem(
                    "too_many_requests", f"The key {principal.name} makes too many requests."
                )
        if not principal.may(needs):
            who = f"The key {principal.name}" if principal.name else "A client without a key"
            raise RequestProblem(
                "forbidden",
                f"{who} may not do this: the scope {needs} is needed. Ask whoever runs the server for "
                f"such a key (`terzetto keys add NAME --scope {needs}`).",
            )
        return principal

    def _why_unauthorized(self, headers: dict[str, str]) -> str:
        secret = _secret(headers)
        if not secret:
            return "This server wants a key: send `Authorization: Bearer KEY`, or `X-API-Key: KEY`."
        ended = self._keys.ended(secret)
        return (
            f"This key {ended}." if ended else "This key is not known; it may have been replaced."
        )

    # --- what responses carry -------------------------------------------------------------------

    def _responding(self, passage: Passage, send: Send) -> Send:
        async def responding(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._audit(passage, message["status"])
                headers = list(message.get("headers", ()))
                prefix = passage.scope.get("root_path", "")
                if prefix:
                    headers = [_prefixed(header, prefix.encode()) for header in headers]
                there = {name.lower() for name, _ in headers}
                more = [header for header in SECURITY if header[0] not in there]
                message = {**message, "headers": [*headers, *more, *passage.added]}
            await send(message)

        return responding

    def _audit(self, passage: Passage, status: int) -> None:
        """Who changed something, and who was refused."""
        reads = passage.method in ("GET", "HEAD", "OPTIONS")
        refused = status in AUDITED_REFUSALS
        if self._keys.required and (refused or not reads):
            who = passage.principal.name or "(data folder)" if passage.principal else None
            action = f"{passage.method} {inner_path(passage.scope)}"
            audit.record(who, passage.client, action, status, is_refusal=refused)


@lru_cache(maxsize=1_024)
def is_loopback(host: str) -> bool:
    """Whether this address, or the name localhost, is one of this machine's own."""
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost"
    mapped = getattr(ip, "ipv4_mapped", None)
    return bool((mapped or ip).is_loopback)


def _secret(headers: dict[str, str]) -> str:
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return secret.strip()
    return headers.get("x-api-key", "")


@lru_cache(maxsize=1_024)
def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _place(url: str) -> str:
    """Host and port in one spelling: browsers leave the ports 80 and 443 out."""
    try:
        place = urlsplit(url).netloc.lower()
    except ValueError:
        return url
    return place.removesuffix(":80").removesuffix(":443")


def _prefixed(header: tuple[bytes, bytes], prefix: bytes) -> tuple[bytes, bytes]:
    """Addresses from the root of this server as those from the root of the proxy's host."""
    name, value = header
    if name.lower() == b"location" and value.startswith(b"/"):
        return name, prefix + value
    if name.lower() == b"link" and value.startswith(b"</"):
        return name, b"<" + prefix + value[1:]
    return header


async def _refuse(passage: Passage, refused: RequestProblem, send: Send) -> None:
    kind = KINDS[refused.code]
    headers: HeaderLines = [(b"content-type", CONTENT_TYPE.encode())]
    if refused.code == "unauthorized":
        headers.append((b"www-authenticate", b"Bearer"))
    wait_s = passage.retry_after_s or kind.retry_after_s
    if wait_s is not None:
        headers.append((b"retry-after", b"%d" % wait_s))
    body = problem_body(refused.code, refused.detail, inner_path(passage.scope))
    await _respond(kind.status, headers, b"" if passage.method == "HEAD" else body, send)


async def _respond(status: int, headers: Iterable[Any], body: bytes, send: Send) -> None:
    length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})

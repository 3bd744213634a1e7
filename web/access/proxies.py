"""What a trusted proxy says of a request: the client's address, the scheme, the host and the sub path.

Rule: headers of a peer that is not trusted say nothing. A proxy that writes one kind of header passes
the other one on as the client sent it, so if both name a client, it must be the same one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from web.api.exchange import inner_path
from web.api.problems import RequestProblem

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_VALUE = r'"(?:[^"\\]|\\.)*+"|[^\s;,"]*+'
_PAIR = re.compile(rf"\s*+(?:([A-Za-z]++)\s*+=\s*+({_VALUE})\s*+)?([;,]|\Z)")
"""A pair and what ends it. Nothing is tried twice: a head may have 32 KiB."""

_PREFIX = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
_HOST = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")


class Said(NamedTuple):
    """What the proxies say; what they do not say is None or empty."""

    client: str | None = None
    scheme: str | None = None
    host: str | None = None
    prefix: str = ""


def behind_proxies(scope: Any, trusted: Sequence[Network]) -> Any:
    """The ASGI scope as the client sent its request; raises `RequestProblem`.

    The path of the result begins with its `root_path`, as ASGI wants it.
    """
    path = scope.get("root_path", "") + inner_path(scope)
    if path != scope["path"]:
        scope = {**scope, "path": path}
    if not trusted or not _is_among((scope.get("client") or [""])[0], trusted):
        return scope
    scope = dict(scope)
    said = _said(scope["headers"], trusted)
    if said.client is not None:
        scope["client"] = (said.client, 0)
    if said.scheme is not None:
        scope["scheme"] = said.scheme
    if said.host is not None:
        others = [header for header in scope["headers"] if header[0].lower() != b"host"]
        scope["headers"] = [*others, (b"host", said.host.encode("latin-1"))]
    if said.prefix:
        inner = scope["path"].removeprefix(scope.get("root_path", ""))
        inner = inner.removeprefix(said.prefix) if inner.startswith(f"{said.prefix}/") else inner
        scope["root_path"], scope["path"] = said.prefix, said.prefix + inner
    return scope


def _said(headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]) -> Said:
    first, second = _forwarded(headers, trusted), _x_forwarded(headers, trusted)
    if None not in (first.client, second.client) and first.client != second.client:
        raise RequestProblem(
            "bad_request", "Forwarded and X-Forwarded-For name different clients; send only one."
        )
    prefix = _last(headers, b"x-forwarded-prefix").rstrip("/")
    return Said(
        first.client or second.client,
        first.scheme or second.scheme,
        first.host or second.host,
        prefix if _PREFIX.fullmatch(prefix) else "",
    )


def _forwarded(headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]) -> Said:
    """RFC 7239: an element for each proxy, the nearest last."""
    elements = _elements(_joined(headers, b"forwarded"))
    hops = [_address(element.get("for", "")) for element in elements]
    if not hops:
        return Said()
    at = _client_at(hops, trusted)
    named = elements[at]
    return Said(hops[at], _scheme(named.get("proto", "")), _host(named.get("host", "")))


def _elements(text: str) -> list[dict[str, str]]:
    """The elements of a `Forwarded` header that say anything; raises `RequestProblem`."""
    found: list[dict[str, str]] = [{}]
    at = 0
    while pair := _PAIR.match(text, at):
        name, value, end = pair.groups()
        if name:
            found[-1][name.lower()] = _unquoted(value)
        if not end:
            return [element for element in found if element]
        if end == ",":
            found.append({})
        at = pair.end()
    raise RequestProblem("bad_request", "The header Forwarded is not as RFC 7239 has it.")


def _x_forwarded(headers: Sequence[tuple[bytes, bytes]], trusted: Sequence[Network]) -> Said:
    joined = _joined(headers, b"x-forwarded-for")
    hops = [_address(hop) for hop in joined.split(",")] if joined else []
    client = hops[_client_at(hops, trusted)] if hops else None
    scheme = _scheme(_last(headers, b"x-forwarded-proto"))
    return Said(client, scheme, _host(_last(headers, b"x-forwarded-host")))


def _client_at(hops: Sequence[str], trusted: Sequence[Network]) -> int:
    """The nearest hop that is no trusted proxy: what stands before it, it may have made up."""
    for at in range(len(hops) - 1, 0, -1):
        if not _is_among(hops[at], trusted):
            return at
    return 0


def _is_among(address: str, networks: Sequence[Network]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)


def _address(text: str) -> str:
    """An address without port and brackets; "unknown" for a name, which may be anyone's."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return "unknown"


def _scheme(text: str) -> str | None:
    return text.lower() if text.lower() in ("http", "https") else None


def _host(text: str) -> str | None:
    return text if _HOST.fullmatch(text) else None


def _joined(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    """All lines of a header as one list."""
    found = [value.decode("latin-1") for key, value in headers if key.lower() == name]
    return ",".join(found)


def _last(headers: Sequence[tuple[bytes, bytes]], name: bytes) -> str:
    return _joined(headers, name).rpartition(",")[2].strip()


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text

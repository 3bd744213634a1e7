"""Connect to a host at a checked address: a public one, unless private networks are allowed.

An address that embeds another one (IPv4 in IPv6) is judged by the embedded one. An address that is
not known to be public is private. The tables are IANA's registries of special-purpose addresses,
not those of one version of Python.

Rule: a name is resolved once, its addresses are checked, and the connection goes to one of exactly
these. A later answer of the name server (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpcore
import trio

from actors.errors import FetchFailed, FetchRefused

MAX_ADDRESSES = 4
"""Addresses of a host that are tried, one after the other."""

_PRIVATE_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata services of clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")
_PRIVATE_6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments, such as Teredo
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address is on the public internet."""
    ip = ip_address(address)
    return _is_public_4(ip) if isinstance(ip, IPv4Address) else _is_public_6(ip)


def _is_public_4(ip: IPv4Address) -> bool:
    return not any(ip in network for network in _PRIVATE_4)


def _is_public_6(ip: IPv6Address) -> bool:
    if ip.scope_id is not None:
        return False
    embedded = ip.ipv4_mapped or ip.sixtofour
    if ip in _NAT64:
        embedded = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if embedded is not None:
        return _is_public_4(embedded)
    return ip in _PUBLIC_6 and not any(ip in network for network in _PRIVATE_6)


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """The connections of one request; `aclose` closes all that are still open.

    Only the connection uses an address: a certificate is verified for the host's name.
    """

    def __init__(self, *, private: bool) -> None:
        self._private = private
        self._backend = httpcore.TrioBackend()
        self._opened: list[httpcore.AsyncNetworkStream] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that accepts, within `timeout` seconds in all."""
        until = trio.current_time() + (float("inf") if timeout is None else timeout)
        addresses: list[str] = []
        with trio.CancelScope(deadline=until):
            addresses = self._allowed(host, await _addresses(host, port))
        failure: Exception = httpcore.ConnectTimeout(f"the address of {host} was not found in time")
        for tried, address in enumerate(addresses):
            left_s = max(until - trio.current_time(), 0.0) / (len(addresses) - tried)
            try:
                stream = await self._backend.connect_tcp(
                    address, port, left_s, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                self._opened.append(stream)
                return stream
        raise failure

    def _allowed(self, host: str, addresses: list[str]) -> list[str]:
        allowed = [address for address in addresses if self._private or is_public(address)]
        if not allowed:
            raise FetchRefused(
                f"{host} is on a private network or on this machine, and such pages are not "
                "fetched. Set fetch_private to allow it."
            )
        return allowed[:MAX_ADDRESSES]

    async def aclose(self) -> None:
        """Close the connections at once."""
        while self._opened:
            with trio.CancelScope(shield=True):
                await self._opened.pop().aclose()


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FetchFailed(f"The address of {host} cannot be found: {reason}.") from None
    return list(dict.fromkeys(str(address[4][0]) for address in found))

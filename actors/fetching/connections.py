"""Connecting to a host by an address that was looked at.

Rule: a name is resolved once, its addresses are checked, and the connection goes to one of those
very addresses. What a name server says a moment later can lead nowhere else.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable

import httpcore
import trio

from actors.errors import FetchFailed, FetchRefused
from actors.fetching.addresses import is_public

MOST_ADDRESSES = 4
"""Addresses of a host that are tried, one after the other."""


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """The connections of one exchange; `aclose` ends them, whoever else should have.

    Only the connection goes to an address: a certificate is held against the host's name.
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
        """A connection to the first address that takes one; all of it within `timeout` seconds."""
        until = trio.current_time() + (float("inf") if timeout is None else timeout)
        addresses: list[str] = []
        with trio.CancelScope(deadline=until):
            addresses = self._allowed(host, await _addresses(host, port))
        failure: Exception = httpcore.ConnectTimeout(f"no address of {host} is known in time")
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
                "fetched. The setting fetch_private allows it."
            )
        return allowed[:MOST_ADDRESSES]

    async def aclose(self) -> None:
        """End the connections without a word to the other side."""
        while self._opened:
            with trio.CancelScope(shield=True):
                await self._opened.pop().aclose()


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise FetchFailed(f"The address of {host} cannot be found: {why}.") from None
    return list(dict.fromkeys(str(place[4][0]) for place in found))

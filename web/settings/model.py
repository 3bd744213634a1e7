"""The settings of a server: those of its system, and those of HTTP.

Rule: a valid `bind` has one spelling, "host:port", with brackets around an IPv6 address.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, NamedTuple

from platformdirs import user_data_path
from pydantic import Field, field_validator

from actors.settings import Settings

DEFAULT_HOST = "127.0.0.1"
_ORIGIN = re.compile(r"https?://[^\s/?#@]+")
_SERVER_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")


class Address(NamedTuple):
    """The address to listen at: a host without brackets and a port; port 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _seconds(default: float, description: str, *, most: float = 3_600) -> Any:
    """The field of a time limit."""
    return Field(default=default, ge=0.05, le=most, description=description)


class ServerSettings(Settings):
    """The settings of a server on this machine, which always has a data folder."""

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("terzetto", appauthor=False),
        description="Folder with the log and the library.",
    )
    bind: str = Field(
        default="127.0.0.1:8000",
        description="Address to listen at: host:port, [IPv6]:port or port.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Further host names that requests may have, such as a proxy's."
    )
    allowed_origins: tuple[str, ...] = Field(
        (), description="Origins of other sites whose pages may use the server (CORS)."
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies whose Forwarded and X-Forwarded-* are believed.",
    )
    insecure: bool = Field(
        default=False, description="Serve clients on other machines, too, though there are no keys."
    )
    key_requests_per_s: float | None = Field(
        default=None, ge=0.01, le=1_000_000, description="Requests a key may make; past it: 429."
    )
    private_documents: bool = Field(
        default=False,
        description="Documents that are added with a key belong to it and are there for no other "
        "key but an admin's; those added before keep whose they are.",
    )
    server: str | None = Field(
        default=None,
        description="URL of a server elsewhere that commands use in place of the data folder.",
    )
    heartbeat_s: float = _seconds(
        15.0, "A stream without a line for this long sends a heartbeat.", most=60
    )
    write_timeout_s: float = _seconds(
        60.0, "A client that reads nothing for this long is disconnected."
    )
    max_streams_per_client: int = Field(
        default=256, ge=1, le=65_536, description="Streams one client may have open; past it: 429."
    )
    request_head_s: float = _seconds(10.0, "Time for the head of a request, from its first byte.")
    request_body_s: float = _seconds(
        30.0, "A request whose body makes no progress for this long is refused."
    )
    keep_alive_s: float = _seconds(75.0, "A connection without a request for this long is closed.")
    max_connections: int = Field(
        default=8_192, ge=1, le=65_536, description="Connections at the same time; past it: 503."
    )
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=4_096,
        le=67_108_864,
        description="Largest body of a request, documents excepted.",
    )
    max_document_bytes: int = Field(
        default=33_554_432, ge=4_096, le=268_435_456, description="Largest document."
    )
    max_upload_bytes: int = Field(
        default=268_435_456,
        ge=4_096,
        le=17_179_869_184,
        description="Memory for all documents that are sent at the same time; past it: 503.",
    )

    @field_validator("bind")
    @classmethod
    def _one_spelling(cls, bind: str) -> str:
        address = parse_address(bind)
        return str(address)

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"{origin!r} is no origin such as https://team.example.org")
        return origins

    @field_validator("server")
    @classmethod
    def _server(cls, url: str | None) -> str | None:
        if url is not None and not _SERVER_URL.fullmatch(url):
            raise ValueError(
                "a URL of a server begins with http:// or https:// and has no password"
            )
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(proxy, strict=False)) for proxy in proxies)

    @property
    def proxy_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        """`trusted_proxies` as networks."""
        return tuple(map(ipaddress.ip_network, self.trusted_proxies))

    @property
    def address(self) -> Address:
        """`bind` as host and port."""
        return parse_address(self.bind)


def parse_address(text: str) -> Address:
    """`host:port`, `[IPv6]:port` or a port alone; raises `ValueError` for anything else."""
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host = DEFAULT_HOST
    elif host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{host!r} is not a host name or address; IPv6 needs brackets: [::1]:8000")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"{port!r} is not a port number from 0 to 65,535")
    return Address(host, int(port))

"""What can be set about the HTTP server, on top of the system behind it.

Rule: `bind` has one spelling once it is accepted, "host:port", with brackets around IPv6.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_data_path
from pydantic import Field, field_validator

from actors.settings import Settings

DEFAULT_HOST = "127.0.0.1"
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?")


class Address(NamedTuple):
    """Where to listen: a host without brackets, and a port, 0 for any that is free."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class ServerSettings(Settings):
    """Settings of a server on this machine, so there is always a data folder."""

    data_dir: Path = Field(
        default_factory=lambda: user_data_path("terzetto", appauthor=False),
        description="Folder with the log and the library.",
    )
    bind: str = Field(
        default="127.0.0.1:8000",
        description="Address to listen at: host:port, [IPv6]:port or port.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Further names that clients may call this server by, such as a proxy's."
    )
    heartbeat_s: float = Field(
        default=15.0,
        ge=0.05,
        le=60,
        description="A stream without a line for this long sends a heartbeat.",
    )
    write_timeout_s: float = Field(
        default=60.0,
        ge=0.05,
        le=3_600,
        description="A client that reads nothing for this long is dropped.",
    )
    max_streams_per_client: int = Field(
        default=256, ge=1, le=65_536, description="Streams one client may have open; past it: 429."
    )
    request_head_s: float = Field(
        default=10.0,
        ge=0.05,
        le=3_600,
        description="Time for the head of a request, from its first byte.",
    )
    request_body_s: float = Field(
        default=30.0,
        ge=0.05,
        le=3_600,
        description="A request's body that does not go on for this long is given up.",
    )
    keep_alive_s: float = Field(
        default=75.0,
        ge=0.05,
        le=3_600,
        description="A connection without a request for this long is closed.",
    )
    max_connections: int = Field(
        default=8_192, ge=1, le=65_536, description="Connections at the same time; past it: 503."
    )
    max_body_bytes: int = Field(
        default=1_048_576,
        ge=4_096,
        le=67_108_864,
        description="Size of a request's body; documents aside.",
    )
    max_document_bytes: int = Field(
        default=33_554_432, ge=4_096, le=268_435_456, description="Size of a document."
    )

    @field_validator("bind")
    @classmethod
    def _one_spelling(cls, bind: str) -> str:
        address = parse_address(bind)
        if not address.is_loopback:
            raise ValueError(
                "Terzetto asks nobody for a key, so it listens to this machine only:"
                " 127.0.0.1, [::1] or localhost. Put a proxy that knows its users in front of it."
            )
        return str(address)

    @property
    def address(self) -> Address:
        """`bind`, taken apart."""
        return parse_address(self.bind)


def parse_address(text: str) -> Address:
    """`host:port`, `[IPv6]:port` or a port alone; raises `ValueError` for anything else."""
    host, colon, port = text.strip().rpartition(":")
    if not colon:
        host = DEFAULT_HOST
    elif host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    elif not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{host!r} is no host name or address; IPv6 needs brackets: [::1]:8000")
    if not (port.isascii() and port.isdigit() and int(port) <= 65_535):
        raise ValueError(f"{port!r} is no port number from 0 to 65,535")
    return Address(host, int(port))

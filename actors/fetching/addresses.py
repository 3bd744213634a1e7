"""Which addresses are everybody's: the internet's, and not this machine's or its network's.

Rule: an address that carries another one in it is judged by that one. What is not known to be
public is private. The tables are IANA's registries of special addresses, not those of one version
of Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_PRIVATE_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a provider's translator (CGNAT)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, and where clouds keep their secrets
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
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
        "2001::/23",  # Teredo and other protocols' own
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IPv4 or IPv6 address, as a name server gives it, is on the internet."""
    ip = ip_address(address)
    return _is_public_4(ip) if isinstance(ip, IPv4Address) else _is_public_6(ip)


def _is_public_4(ip: IPv4Address) -> bool:
    return not any(ip in network for network in _PRIVATE_4)


def _is_public_6(ip: IPv6Address) -> bool:
    if ip.scope_id is not None:
        return False
    inner = ip.ipv4_mapped or ip.sixtofour
    if ip in _NAT64:
        inner = IPv4Address(int(ip) & 0xFFFF_FFFF)
    if inner is not None:
        return _is_public_4(inner)
    return ip in _PUBLIC_6 and not any(ip in network for network in _PRIVATE_6)

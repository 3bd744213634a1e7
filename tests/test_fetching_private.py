"""No page of a private network is fetched, whatever URL or redirect leads to it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from web_site import Names, answer, open_site, redirect

from actors.errors import FetchFailed, FetchRefused
from actors.fetching.connections import is_public
from actors.fetching.fetcher import Fetcher, FetchLimits

GUARD_S = 20.0

PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "93.184.215.14", "100.63.255.255", "100.128.0.0", "172.15.255.255"),
    *("172.32.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001:80b::200e"),
    *("64:ff9b::8.8.8.8", "2002:808:808::1", "::ffff:8.8.8.8"),
]
PRIVATE = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1"),
    *("127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8"),
    *("192.0.2.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"),
    *("239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00::1"),
    *("fec0::1", "ff02::1", "100::1", "2001::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1"),
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8"),
    *("2002:7f00:1::1", "2002:a00:1::1", "2002:c0a8:1::1", "2606:4700::1111%eth0"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_internet_addresses_are_public(address: str):
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_special_purpose_addresses_are_private(address: str):
    assert not is_public(address)


NAT64 = IPv6Network("64:ff9b::/96")
V4 = st.builds(IPv4Address, st.integers(0, 2**32 - 1))
SPECIAL_V4 = st.sampled_from([ip_address(a) for a in PRIVATE if "." in a and ":" not in a])


@given(ip=V4 | SPECIAL_V4 | st.builds(IPv6Address, st.integers(0, 2**128 - 1)))
def test_no_address_is_public_that_python_calls_private(ip: IPv4Address | IPv6Address):
    special = (ip.is_private, ip.is_loopback, ip.is_link_local, ip.is_multicast, ip.is_reserved)
    embedding = isinstance(ip, IPv6Address) and (ip.sixtofour or ip in NAT64)

    if any(special) or ip.is_unspecified:
        assert embedding or not is_public(str(ip))


@given(v4=V4 | SPECIAL_V4, place=st.integers(0, 2**80 - 1))
def test_an_embedded_address_decides(v4: IPv4Address, place: int):
    carried = [
        IPv6Address((0xFFFF << 32) | int(v4)),
        IPv6Address((0x0064_FF9B << 96) | int(v4)),
        IPv6Address((0x2002 << 112) | (int(v4) << 80) | place),
    ]

    assert [is_public(str(ip)) for ip in carried] == [is_public(str(v4))] * 3


# --- Through the whole fetch --------------------------------------------------------------------


async def refusal(url: str) -> str:
    with trio.fail_after(GUARD_S), pytest.raises(FetchRefused) as refused:
        await Fetcher(FetchLimits()).fetch(url)
    return refused.value.message


SPELLINGS = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "0", "127.0.0.1."),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]"),
    *("[fe80::1]", "169.254.169.254", "127。0。0。1", "①②⑦.0.0.1"),
]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_loopback_is_fetched(host: str):
    async with open_site({"/": answer(b"secret")}) as site:
        with trio.fail_after(GUARD_S), pytest.raises((FetchRefused, FetchFailed)):
            await Fetcher(FetchLimits()).fetch(site.url("/", host))

        assert site.asked == []


async def test_a_name_of_this_machine_is_refused():
    assert "fetch_private" in await refusal("http://localhost/")


@pytest.mark.parametrize("address", PRIVATE)
async def test_a_name_that_leads_to_a_private_address_is_refused(address: str):
    trio.socket.set_custom_hostname_resolver(Names(frogs_example=[[address]] * 9))

    assert "private network" in await refusal("http://frogs.example/")


async def test_no_private_address_of_a_host_is_connected_to():
    async with open_site({"/": answer(b"secret")}) as site:
        private = ["127.0.0.1", "::ffff:127.0.0.1"]
        trio.socket.set_custom_hostname_resolver(Names(frogs_example=[private] * 9))

        await refusal(site.url("/", "frogs.example"))

        assert site.asked == []


async def test_the_checked_address_is_the_one_connected_to(monkeypatch):
    """The name server answers with a public address first, then with loopback."""
    connected: list[str] = []

    async def refuse(address: str, *_: object, **__: object) -> trio.SocketStream:
        connected.append(address)
        raise OSError("no way there")

    monkeypatch.setattr(trio, "open_tcp_stream", lambda host, port, **more: refuse(host))
    async with open_site({"/": answer(b"secret")}) as site:
        answers = [["1.1.1.1"], ["127.0.0.1"], ["127.0.0.1"], ["127.0.0.1"]]
        names = Names(frogs_example=answers)
        trio.socket.set_custom_hostname_resolver(names)

        with pytest.raises(FetchFailed):
            await Fetcher(FetchLimits()).fetch(site.url("/", "frogs.example"))

        assert names.asked == ["frogs.example"]
        assert connected == ["1.1.1.1"] and site.asked == []


async def test_a_name_that_changes_its_address_between_two_requests_is_refused(monkeypatch):
    """robots.txt comes from a public address; the page would come from this machine."""
    open_tcp_stream = trio.open_tcp_stream
    async with open_site({"/": answer(b"secret"), "/robots.txt": answer(status=404)}) as site:

        async def pretend(host: str, port: int, **_: object) -> trio.SocketStream:
            assert host == "1.1.1.1"
            return await open_tcp_stream("127.0.0.1", site.port)

        monkeypatch.setattr(trio, "open_tcp_stream", pretend)
        trio.socket.set_custom_hostname_resolver(Names(frogs_example=[["1.1.1.1"], ["127.0.0.1"]]))

        assert "private network" in await refusal(site.url("/", "frogs.example"))

        assert site.asked == ["/robots.txt"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "rebound.example"])
async def test_a_redirect_to_a_private_address_is_refused(monkeypatch, host: str):
    open_tcp_stream = trio.open_tcp_stream
    async with open_site({"/secret": answer(b"secret")}) as site:
        site.pages["/"] = redirect(site.url("/secret", host))

        async def pretend(host: str, port: int, **_: object) -> trio.SocketStream:
            assert host == "1.1.1.1"
            return await open_tcp_stream("127.0.0.1", site.port)

        monkeypatch.setattr(trio, "open_tcp_stream", pretend)
        here = [["127.0.0.1"]] * 9
        names = Names(frogs_example=[["1.1.1.1"]] * 9, rebound_example=here, localhost=here)
        trio.socket.set_custom_hostname_resolver(names)

        told = await refusal(site.url("/", "frogs.example"))

        assert "private network" in told and site.asked == ["/robots.txt", "/"]

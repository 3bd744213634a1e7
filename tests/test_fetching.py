"""Fetching web pages from a real server on this machine."""

from __future__ import annotations

import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
import trustme
from web_site import Answering, Names, Site, answer, open_site, page, raw, redirect

from actors.errors import FetchFailed, FetchRefused
from actors.fetching.fetcher import AT_A_TIME, Fetcher, FetchLimits, Page
from actors.fetching.request import PIECE_BYTES, BodyReader

GUARD_S = 20.0
MIB = 1024 * 1024
FROGS = page("On frogs", "The zibbly frog croaks at midnight.")


@asynccontextmanager
async def site_of(pages: Mapping[str, Answering]) -> AsyncIterator[tuple[Site, Fetcher]]:
    with trio.fail_after(GUARD_S):
        async with open_site(pages) as site:
            yield site, Fetcher(FetchLimits(private=True, max_bytes=MIB))


async def refusal(fetcher: Fetcher, url: str) -> str:
    with pytest.raises(FetchRefused) as refused:
        await fetcher.fetch(url)
    return refused.value.message


async def failure(fetcher: Fetcher, url: str) -> FetchFailed:
    with pytest.raises(FetchFailed) as failed:
        await fetcher.fetch(url)
    return failed.value


# --- Pages --------------------------------------------------------------------------------------


async def test_a_page_has_its_media_type_and_url():
    async with site_of({"/frogs": answer(FROGS, "text/html; charset=utf-8")}) as (site, fetcher):
        found = await fetcher.fetch(site.url("/frogs#croaking"))

        url = site.url("/frogs")
        assert found == Page(url, url, "text/html; charset=utf-8", FROGS)
        assert found.file_name == "frogs"


async def test_a_request_has_only_the_necessary_headers():
    async with site_of({"/frogs?q=1": answer(FROGS)}) as (site, fetcher):
        await fetcher.fetch(site.url("/frogs?q=1"))

        head = site.heads[-1]
        assert head["host"] == f"127.0.0.1:{site.port}"
        assert head["user-agent"].startswith("Terzetto/")
        assert head.keys() == {"host", "user-agent", "accept", "accept-encoding", "connection"}


@pytest.mark.parametrize("end", ["", "#part", "/", "/#part", "?", "/?"])
async def test_a_url_without_a_path_is_the_root(end: str):
    query = "?" if "?" in end else ""
    async with site_of({f"/{query}": answer(FROGS)}) as (site, fetcher):
        found = await fetcher.fetch(site.url(end))

        assert found.url == site.url(f"/{query}")


@pytest.mark.parametrize(
    "told, name, kind",
    [
        ("text/plain; charset=utf-8", "README.md", "text/markdown; charset=utf-8"),
        ("text/plain", "notes.markdown?raw=1", "text/markdown"),
        ("text/plain", "notes.txt", "text/plain"),
        ("text/plain", "page.html", "text/plain"),
        ("text/html", "README.md", "text/html"),
        (None, "README.md", None),
    ],
)
async def test_markdown_sent_as_plain_text_is_markdown(
    told: str | None, name: str, kind: str | None
):
    """Hosts of source code send it so."""
    async with site_of({f"/{name}": answer(b"# Frogs", told)}) as (site, fetcher):
        assert (await fetcher.fetch(site.url(f"/{name}"))).media_type == kind


async def test_a_path_in_any_script_is_percent_encoded():
    async with site_of({"/Gr%C3%BCn%20x": answer(FROGS)}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/Grün x"))).body == FROGS


async def test_a_page_may_come_in_chunks_or_until_the_end_of_the_connection(subtests):
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    ways = {
        "/chunks": raw(chunked, b"3\r\nabc\r\n", b"4\r\ndefg\r\n0\r\n\r\n"),
        "/old": raw(b"HTTP/1.0 200 OK\r\n\r\nabc", b"defg"),
    }
    async with site_of(ways) as (site, fetcher):
        for path in ways:
            with subtests.test(path):
                assert (await fetcher.fetch(site.url(path))).body == b"abcdefg"


async def test_a_gzip_page_is_decompressed():
    twice = gzip.compress(FROGS) + gzip.compress(FROGS)
    async with site_of({"/x": answer(twice, Content_Encoding="gzip")}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/x"))).body == FROGS * 2


# --- Redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status: int):
    ways = {"/a/old": redirect("new?x=1", status), "/a/new?x=1": answer(FROGS)}
    async with site_of(ways) as (site, fetcher):
        found = await fetcher.fetch(site.url("/a/old"))

        assert (found.url, found.final_url) == (site.url("/a/old"), site.url("/a/new?x=1"))


async def test_five_redirects_are_followed_and_a_loop_is_not():
    ways = {f"/{n}": redirect(f"/{n + 1}") for n in range(1, 6)}
    async with site_of({**ways, "/6": answer(FROGS), "/0": redirect("/0")}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/1"))).body == FROGS

        assert "more than 5 times" in await refusal(fetcher, site.url("/0"))
        assert site.asked_for("/0") == 6


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "http://me:secret@127.0.0.1/", "ftp://x/", "http://"]
)
async def test_a_redirect_is_checked_like_a_url(location: str):
    async with site_of({"/x": redirect(location)}) as (site, fetcher):
        told = await refusal(fetcher, site.url("/x"))

        assert "secret" not in told


async def test_a_redirect_without_a_location_is_refused():
    async with site_of({"/x": answer(status=302)}) as (site, fetcher):
        assert "answered 302" in await refusal(fetcher, site.url("/x"))


# --- What is no page ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "//x/y", "/etc/passwd", "file:///etc/passwd", "ftp://x/y", "gopher://x"),
        *("http://", "http:///x", "http://:80/", "http://x:0/", "http://x:99999/", "http://[::1"),
        *("http://a:b@x/", "http://a@x/", "http://x\n/y", "http://xn--a\u0080/", "javascript:1"),
        *("http://x:22/", "http://x:25/y", "https://x:993/", "http://x:6667/"),
        "http://x/" + "y" * 5_000,
    ],
)
async def test_an_invalid_url_is_refused(url: str):
    told = await refusal(Fetcher(FetchLimits(private=True)), url)

    assert len(told) < 500


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451, 304, 499])
async def test_a_client_error_refuses_the_page(status: int):
    async with site_of({"/x": answer(FROGS, status=status)}) as (site, fetcher):
        assert f"answered {status}" in await refusal(fetcher, site.url("/x"))


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
async def test_a_server_error_is_retryable(status: int):
    async with site_of({"/x": answer(FROGS, status=status)}) as (site, fetcher):
        failed = await failure(fetcher, site.url("/x"))

        assert failed.retryable and failed.retry_after_s is None


@pytest.mark.parametrize(
    ("said", "wait_s"),
    [
        ("7", 7.0),
        ("999999999999", 3_600.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2115 07:28:00 GMT", 3_600.0),
        ("soon", None),
        ("-1", None),
    ],
)
async def test_the_error_has_the_time_to_wait(said: str, wait_s: float | None):
    async with site_of({"/x": answer(status=429, Retry_After=said)}) as (site, fetcher):
        assert (await failure(fetcher, site.url("/x"))).retry_after_s == wait_s


@pytest.mark.parametrize("kind", ["image/png", "application/json", "video/mp4", "application/zip"])
async def test_other_media_types_are_refused_before_the_body(kind: str):
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: 99999\r\n\r\n"
    async with site_of({"/x": stalling(head.encode())}) as (site, fetcher):
        assert kind in await refusal(fetcher, site.url("/x"))


async def test_another_content_coding_is_refused():
    async with site_of({"/x": answer(b"x", Content_Encoding="br")}) as (site, fetcher):
        assert "br" in await refusal(fetcher, site.url("/x"))


CUT = {
    "before the head": raw(),
    "in the head": raw(b"HTTP/1.1 200 OK\r\nContent-"),
    "in the body": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nabc"),
    "in the chunks": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"),
    "in what is packed": answer(gzip.compress(FROGS)[:-9], Content_Encoding="gzip"),
    "damaged": answer(b"\x1f\x8b\x08nonsense", Content_Encoding="gzip"),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "an endless head": raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
    "a body of no length": raw(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"),
}


@pytest.mark.parametrize("way", CUT)
async def test_an_incomplete_response_is_retryable(way: str):
    async with site_of({"/x": CUT[way], "/robots.txt": answer(status=404)}) as (site, fetcher):
        await failure(fetcher, site.url("/x"))


async def test_a_refused_connection_is_retryable():
    async with site_of({}) as (site, fetcher):
        url = site.url("/")

    assert "could not be reached" in (await failure(fetcher, url)).message


# --- Limits -------------------------------------------------------------------------------------


def stalling(*pieces: bytes) -> Answering:
    """Send these bytes, then nothing; the connection stays open."""

    async def send(stream: trio.abc.Stream) -> None:
        await raw(*pieces)(stream)
        await stream.receive_some()

    return send


def endless(head: bytes, piece: bytes) -> Answering:
    async def send(stream: trio.abc.Stream) -> None:
        await stream.send_all(head)
        while True:
            await stream.send_all(piece)

    return send


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*parts, packer.flush()])


LARGE = {
    "said": stalling(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (MIB + 1)),
    "endless": endless(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 4_096),
    "packed": answer(bomb(64 * MIB), Content_Encoding="gzip"),
    "packed and endless": endless(
        b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\n", gzip.compress(bytes(4 * MIB))
    ),
}


@pytest.mark.parametrize("way", LARGE)
async def test_a_page_over_the_limit_is_refused_early(way: str):
    async with site_of({"/x": LARGE[way]}) as (site, fetcher):
        assert "1,048,576 bytes" in await refusal(fetcher, site.url("/x"))


def test_gzip_is_decompressed_in_pieces():
    body, pieces = BodyReader(MIB, gzip=True, cut=False), 0

    with pytest.raises(FetchRefused):
        for _ in body.feed(bomb(64 * MIB)):
            pieces += 1

    assert pieces == MIB // PIECE_BYTES


async def test_a_page_at_the_limit_is_accepted():
    ways = {
        "/x": answer(b"x" * MIB),
        "/y": answer(gzip.compress(b"x" * MIB), Content_Encoding="gzip"),
    }
    async with site_of(ways) as (site, fetcher):
        for path in ways:
            assert (await fetcher.fetch(site.url(path))).body == b"x" * MIB


def dripping(head: bytes) -> Answering:
    async def send(stream: trio.abc.Stream) -> None:
        await stream.send_all(head)
        while True:
            await stream.send_all(b"x")
            await trio.sleep(0.02)

    return send


SLOW = {
    "says nothing": stalling(),
    "stalls in its head": stalling(b"HTTP/1.1 200 OK\r\n"),
    "stalls in its body": stalling(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
    "drips": dripping(b"HTTP/1.0 200 OK\r\n\r\n"),
}


@pytest.mark.parametrize("way", SLOW)
async def test_a_timeout_is_retryable(way: str):
    async with site_of({"/x": SLOW[way]}) as (site, _):
        fetcher = Fetcher(FetchLimits(private=True, timeout_s=0.3))

        assert "longer than 0.3 s" in (await failure(fetcher, site.url("/x"))).message


async def test_a_few_pages_are_fetched_at_the_same_time():
    gate = trio.Event()

    async def held(stream: trio.abc.Stream) -> None:
        await gate.wait()
        await answer(FROGS)(stream)

    async with site_of({"/x": held}) as (site, fetcher):
        async with trio.open_nursery() as nursery:
            for _ in range(3 * AT_A_TIME):
                nursery.start_soon(fetcher.fetch, site.url("/x"))
            while site.asked_for("/x") < AT_A_TIME:
                await trio.sleep(0.01)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert fetcher.is_full and site.now == AT_A_TIME
            gate.set()

        assert site.most == AT_A_TIME and not fetcher.is_full


# --- robots.txt ---------------------------------------------------------------------------------

RULES = b"User-agent: *\nDisallow: /private\n\nUser-agent: terzetto\nDisallow: /not-you\n"


async def test_robots_txt_is_obeyed_and_fetched_once():
    ways = {path: answer(FROGS) for path in ("/", "/private", "/not-you/x")}
    async with site_of({**ways, "/robots.txt": answer(RULES, "text/plain")}) as (site, fetcher):
        assert "robots.txt" in await refusal(fetcher, site.url("/not-you/x"))

        await fetcher.fetch(site.url("/"))
        await fetcher.fetch(site.url("/private"))  # Rules for other user agents do not apply.
        assert site.asked == ["/robots.txt", "/", "/private"]


async def test_a_redirect_to_a_disallowed_page_is_refused():
    ways = {"/x": redirect("/private"), "/private": answer(FROGS)}
    rules = answer(b"User-agent: *\nDisallow: /private", "text/plain")
    async with site_of({**ways, "/robots.txt": rules}) as (site, fetcher):
        await refusal(fetcher, site.url("/x"))

        assert site.asked_for("/private") == 0


MATCHING = {
    "a star is any run": ("Disallow: /*/private", "/a/b/private/c", False),
    "a star may be nothing": ("Disallow: /x*y", "/xy", False),
    "a dollar is the end": ("Disallow: /*.pdf$", "/a.pdf", False),
    "what goes on has another end": ("Disallow: /*.pdf$", "/a.pdf?x=1", True),
    "the longest rule counts, not the first": ("Disallow: /a\nAllow: /a/b", "/a/b/c", True),
    "the longest may forbid": ("Allow: /a\nDisallow: /a/b", "/a/b/c", False),
    "of equals the milder counts": ("Disallow: /a\nAllow: /a", "/a", True),
    "any spelling of a letter": ("Disallow: /%7euser/\u00fc", "/~user/%C3%BC", False),
    "a query is a part": ("Disallow: /*?print=", "/a?print=1", False),
    "nothing forbidden": ("Disallow:", "/a", True),
    "groups for the same program add up": (
        "Disallow: /a\n\nUser-agent: *\nDisallow: /b",
        "/b",
        False,
    ),
    "a group for us is the only one": (
        "Disallow: /\n\nUser-agent: terzetto/2\nAllow: /",
        "/a",
        True,
    ),
    "a group for a name like ours is not for us": (
        "Allow: /\n\nUser-agent: terz\nUser-agent: terzetto-news\nDisallow: /",
        "/a",
        True,
    ),
    "several names share a group": ("\nUser-agent: other\nDisallow: /", "/a", False),
}


@pytest.mark.parametrize("case", MATCHING)
async def test_robots_txt_is_read_as_rfc_9309_requires(case: str):
    rules, path, allowed = MATCHING[case]
    told = f"\ufeffUser-agent: *\n{rules}\n".encode()
    async with site_of({"/robots.txt": answer(told), path: answer(FROGS)}) as (site, fetcher):
        if allowed:
            assert (await fetcher.fetch(site.url(path))).body == FROGS
        else:
            assert "robots.txt" in await refusal(fetcher, site.url(path))


@pytest.mark.parametrize("form", ["User-agent: n{}", "useragent n{}", "User  agent : n{}"])
async def test_rules_for_many_user_agents_use_no_more_memory_than_their_size(form: str):
    """9,000 rules for each of 9,000 user agents would fill the memory."""
    names = "\n".join(form.format(n) for n in range(9_000))
    rules = "\n".join(f"Disallow: /{n}" for n in range(9_000))
    told = f"User-agent: *\n{names}\n{rules}\n".encode()
    async with site_of({"/robots.txt": answer(told), "/x": answer(FROGS)}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/x"))).body == FROGS
        await refusal(fetcher, site.url("/8999"))


ALLOWING = {
    "none": answer(status=404),
    "forbidden": answer(status=403),
    "odd type": answer(b"User-agent: *\nAllow: /", "application/x-robots"),
    "no text": answer(bytes(range(256)), "text/plain"),
    "moved": redirect("/rules"),
    "a loop": redirect("/robots.txt"),
}


@pytest.mark.parametrize("way", ALLOWING)
async def test_a_host_without_robots_txt_allows_everything(way: str):
    async with site_of({"/robots.txt": ALLOWING[way], "/x": answer(FROGS)}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/x"))).body == FROGS


@pytest.mark.parametrize("way", [answer(status=500), answer(status=429), raw()])
async def test_a_host_that_cannot_send_robots_txt_is_retryable(way: Answering):
    async with site_of({"/robots.txt": way, "/x": answer(FROGS)}) as (site, fetcher):
        assert "robots.txt" in (await failure(fetcher, site.url("/x"))).message
        assert site.asked_for("/x") == 0

        site.pages["/robots.txt"] = answer(status=404)
        assert (await fetcher.fetch(site.url("/x"))).body == FROGS


async def test_a_long_robots_txt_is_cut():
    rules = endless(
        b"HTTP/1.0 200 OK\r\n\r\nUser-agent: *\nDisallow: /private\n", b"#" * 4_095 + b"\n"
    )
    async with site_of({"/robots.txt": rules, "/x": answer(FROGS)}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/x"))).body == FROGS
        await refusal(fetcher, site.url("/private"))

        assert site.asked_for("/robots.txt") == 1


async def test_a_redirected_robots_txt_is_obeyed():
    rules = answer(b"User-agent: *\nDisallow: /", "text/plain")
    ways = {"/robots.txt": redirect("/rules"), "/rules": rules, "/x": answer(FROGS)}
    async with site_of(ways) as (site, fetcher):
        await refusal(fetcher, site.url("/x"))


# --- Names and certificates ---------------------------------------------------------------------


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch, tmp_path) -> Callable[[str], ssl.SSLContext]:
    """A certificate authority that the fetcher trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    def certified(name: str) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        return context

    return certified


async def test_a_certificate_is_verified_for_the_host_name(trusted):
    names = Names(frogs_example=[["127.0.0.1"]] * 9, toads_example=[["127.0.0.1"]] * 9)
    trio.socket.set_custom_hostname_resolver(names)
    with trio.fail_after(GUARD_S):
        async with open_site({"/x": answer(FROGS)}, trusted("frogs.example")) as site:
            fetcher = Fetcher(FetchLimits(private=True))

            good = await fetcher.fetch(f"https://frogs.example:{site.port}/x")
            told = await refusal(fetcher, f"https://toads.example:{site.port}/x")

    assert good.body == FROGS
    assert site.heads[-1]["host"] == f"frogs.example:{site.port}"
    assert "certificate of toads.example" in told


async def test_another_address_of_a_host_is_tried_when_the_first_does_not_answer():
    trio.socket.set_custom_hostname_resolver(Names(frogs_example=[["::1", "127.0.0.1"]] * 9))
    async with site_of({"/x": answer(FROGS)}) as (site, fetcher):
        assert (await fetcher.fetch(site.url("/x", "frogs.example"))).body == FROGS


async def test_an_unknown_host_name_is_retryable():
    trio.socket.set_custom_hostname_resolver(Names())

    told = await failure(Fetcher(FetchLimits()), "http://frogs.example/")

    assert "address of frogs.example cannot be found" in told.message

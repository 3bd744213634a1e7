"""What a trusted proxy says of a request counts, and what any other peer says does not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from test_keys import NEW, with_keys

from web.access.audit import audited
from web.access.gate import Gate
from web.access.keys import Keys
from web.settings.model import ServerSettings

PUBLIC = "https://team.example.org/three/"
"""Where clients see the server, through a proxy that leaves `/three` out or passes it on."""

FORWARDED = {
    "X-Forwarded-Prefix": "/three",
    "Forwarded": "for=203.0.113.9;proto=https;host=team.example.org",
}
X_FORWARDED = {
    "X-Forwarded-For": "203.0.113.9",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "team.example.org",
    "X-Forwarded-Prefix": "/three",
}
BOTH = pytest.mark.parametrize("said", [FORWARDED, X_FORWARDED], ids=["Forwarded", "X-Forwarded"])
TRUSTED, OTHER = ("127.0.0.0/8",), ("198.51.100.7",)


@BOTH
@pytest.mark.parametrize("passed_on", ["", "/three"])
async def test_every_address_is_one_below_the_proxys(said: dict[str, str], passed_on: str):
    async with with_keys(("a", "write"), trusted_proxies=TRUSTED) as (http, key):
        headers = key["a"] | said
        made = await http.post(f"{passed_on}/tasks", json=NEW, headers=headers)
        await http.post(f"{passed_on}/tasks", json=NEW, headers=headers)
        listed = await http.get(f"{passed_on}/tasks?limit=1", headers=headers)
        described = await http.get(f"{passed_on}/openapi.json", headers=headers)
        page = await http.get(f"{passed_on}/", headers=said)
        files = re.findall(r'(?:src|href)="([^#"]+)"', page.text)
        found = [
            (await http.get(f"{passed_on}/{file}", headers=said)).status_code for file in files
        ]

    task_id, asked = made.json()["task_id"], urljoin(PUBLIC, "tasks")
    assert urljoin(asked, made.headers["location"]) == f"{PUBLIC}tasks/{task_id}"
    (link,) = re.findall(r'<(.+)>; rel="next"', listed.headers["link"])
    assert urljoin(asked, link).startswith(f"{PUBLIC}tasks?")
    (server,) = described.json()["servers"]
    assert urljoin(asked, server["url"]) == PUBLIC.rstrip("/")
    assert len(files) > 2 and set(found) == {200}
    assert all(urljoin(PUBLIC, file).startswith(f"{PUBLIC}page/") for file in files)


@BOTH
async def test_nothing_that_another_peer_says_counts(said: dict[str, str]):
    async with with_keys(trusted_proxies=OTHER) as (http, _):
        made = await http.post("/tasks", json=NEW, headers=said)  # Else a client from far away.
        await http.post("/tasks", json=NEW)
        listed = await http.get("/tasks?limit=1", headers=said)
        described = await http.get("/openapi.json", headers=said)
        page = await http.get("/", headers=said)
        own = {"Origin": "https://team.example.org"}
        foreign = await http.get("/tasks", headers=said | own)

        assert made.headers["location"] == f"/tasks/{made.json()['task_id']}"
        assert listed.headers["link"].startswith("</tasks?")
        assert described.json()["servers"] == [{"url": "/"}]
        assert (page.status_code, page.text) == (200, (await http.get("/")).text)
        assert (foreign.status_code, foreign.json()["code"]) == (403, "foreign_origin")
        assert (await http.get("/three/tasks", headers=said)).status_code == 404


@BOTH
async def test_a_page_of_the_proxys_name_is_the_servers_own(said: dict[str, str]):
    origin = {"Origin": "https://team.example.org"}
    async with with_keys(("a", "read"), trusted_proxies=TRUSTED) as (http, key):
        answer = await http.get("/tasks", headers=key["a"] | said | origin)
        other = await http.get(
            "/tasks", headers=key["a"] | said | {"Origin": "https://evil.example"}
        )

    assert (answer.status_code, other.status_code) == (200, 403)


@BOTH
async def test_without_keys_the_forwarded_client_and_name_decide(said: dict[str, str]):
    near = {name: value.replace("203.0.113.9", "127.0.0.9") for name, value in said.items()}
    async with with_keys(trusted_proxies=TRUSTED) as (http, _):
        far = await http.get("/tasks", headers=said)
        named = await http.get("/tasks", headers=near)
    async with with_keys(trusted_proxies=TRUSTED, allowed_hosts=("team.example.org",)) as (http, _):
        allowed = await http.get("/tasks", headers=near)

    assert far.status_code == 403 and "own machine" in far.json()["detail"]
    assert named.status_code == 403 and "team.example.org" in named.json()["detail"]
    assert allowed.status_code == 200


async def test_two_headers_that_name_different_clients_are_refused():
    two = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=127.0.0.1"}
    async with with_keys(trusted_proxies=TRUSTED) as (http, _):
        assert (await http.get("/tasks", headers=two)).status_code == 400
    async with with_keys(trusted_proxies=OTHER) as (http, _):
        assert (await http.get("/tasks", headers=two)).status_code == 200


@BOTH
@pytest.mark.parametrize(("proxies", "client"), [(TRUSTED, "203.0.113.9"), (OTHER, "127.0.0.1")])
async def test_the_audit_log_has_the_client(
    said: dict[str, str], proxies: tuple[str, ...], client: str, tmp_path: Path
):
    with audited(tmp_path):
        async with with_keys(("a", "write"), trusted_proxies=proxies) as (http, key):
            await http.post("/tasks", json=NEW, headers=key["a"] | said)

    line = json.loads((tmp_path / "audit.log").read_text())
    assert (line["client"], line["action"]) == (client, "POST /tasks")


async def seen(peer: str, headers: list[tuple[str, str]], *proxies: str) -> Any:
    """The scope that an app behind the gate gets."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)

    async def send(message: Any) -> None:
        raise AssertionError(f"The gate refused it: {message}")

    settings = ServerSettings(trusted_proxies=proxies, insecure=True, allowed_hosts=("a.example",))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/tasks",
        "scheme": "http",
        "client": (peer, 1),
        "headers": [(n.lower().encode(), v.encode()) for n, v in headers],
    }
    await Gate(app, settings, Keys(None))(scope, None, send)
    return scopes[0]


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([("X-Forwarded-For", "1.2.3.4, 203.0.113.9, 10.0.0.7")], "203.0.113.9"),
        ([("X-Forwarded-For", "1.2.3.4, 203.0.113.9"), ("X-Forwarded-For", "10.0.0.7")], "203.0.113.9"),
        ([("X-Forwarded-For", "10.0.0.8, 10.0.0.7")], "10.0.0.8"),
        ([("X-Forwarded-For", "203.0.113.9:4711")], "203.0.113.9"),
        ([("Forwarded", "for=1.2.3.4, for=203.0.113.9;proto=https, for=10.0.0.7")], "203.0.113.9"),
        ([("Forwarded", 'For="[2001:db8::1]:4711"')], "2001:db8::1"),
        ([("Forwarded", "for=_hidden, for=10.0.0.7")], "unknown"),
        ([("Forwarded", "for=unknown")], "unknown"),
        ([], "10.0.0.1"),
    ],
)  # fmt: skip
async def test_the_client_is_the_nearest_hop_that_is_no_trusted_proxy(
    headers: list[tuple[str, str]], client: str
):
    assert (await seen("10.0.0.1", headers, "10.0.0.0/8"))["client"][0] == client
    assert (await seen("203.0.113.1", headers, "10.0.0.0/8"))["client"][0] == "203.0.113.1"


@pytest.mark.parametrize(
    "headers",
    [
        [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "a.example")],
        [("X-Forwarded-Proto", "http, HTTPS"), ("X-Forwarded-Host", "evil.example, a.example")],
        [("Forwarded", 'proto=http;host=evil.example, proto=https;host="a.example"')],
        [("Forwarded", "for=9.9.9.9;proto=https;host=a.example, for=10.0.0.2;proto=http")],
    ],
)
async def test_scheme_and_host_are_those_that_the_trusted_proxies_saw(
    headers: list[tuple[str, str]],
):
    host = ("Host", "localhost:8000")
    scope = await seen("10.0.0.1", [host, *headers], "10.0.0.0/8")
    assert (scope["scheme"], dict(scope["headers"])[b"host"]) == ("https", b"a.example")
    scope = await seen("203.0.113.1", [host, *headers], "10.0.0.0/8")
    assert (scope["scheme"], dict(scope["headers"])[b"host"]) == ("http", b"localhost:8000")


@pytest.mark.parametrize("prefix", ["//evil.example", "/a/../b", "three", "/thr ee", "/a\\b", "/"])
async def test_a_prefix_that_is_no_plain_path_is_none(prefix: str):
    async with with_keys(trusted_proxies=TRUSTED) as (http, _):
        made = await http.post("/tasks", json=NEW, headers={"X-Forwarded-Prefix": prefix})

    assert made.headers["location"] == f"/tasks/{made.json()['task_id']}"

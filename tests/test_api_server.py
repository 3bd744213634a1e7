"""The server itself: health, agents, /openapi.json, and the hosts and origins it accepts."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import trio
from api_client import Api, check_log, check_problem, scripted_api
from scripted import Cast, scripted_system

TABLE = {
    ("POST", "/tasks"),
    ("POST", "/tasks/{}/execute"),
    ("GET", "/tasks/{}/status"),
    ("GET", "/tasks/{}"),
    ("GET", "/tasks"),
    ("GET", "/tasks/{}/events"),
    ("POST", "/tasks/{}/cancel"),
    ("POST", "/tasks/{}/retry"),
    ("DELETE", "/tasks/{}"),
    ("GET", "/agents"),
    ("POST", "/documents"),
    ("GET", "/documents"),
    ("GET", "/documents/{}"),
    ("GET", "/documents/{}/text"),
    ("DELETE", "/documents/{}"),
    ("GET", "/documents/search"),
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/health"),
}


async def test_a_server_whose_actor_has_ended_is_not_ready_and_names_it(served):
    async with scripted_system() as system, served(system) as http:
        system._agents["writer"]._nursery.cancel_scope.cancel()
        await trio.sleep(0.01)
        answer = await http.get("/readyz")
    check_problem(answer, 503, "actor_stopped")
    assert "writer" in answer.json()["detail"]


async def test_a_running_server_is_alive_ready_and_ok(served):
    async with scripted_api(served) as api:
        for path in ("/livez", "/readyz", "/health"):
            answer = await api.http.get(path)
            assert answer.status_code == 200, path
        assert answer.json()["status"] == "ok"


async def test_each_agent_shows_its_description_and_load(served):
    from actors.errors import AgentFailed

    cast = Cast(plans=[AgentFailed("no")], weighs=[ZeroDivisionError()], writes=[60])
    async with scripted_api(served, cast) as api:
        async with api.execute(await api.create()) as stream:
            line = b""
            while not (b'"step_started"' in line and b'"writing"' in line):
                line = await stream.line()

            answer = await api.http.get("/agents")

        agents = {agent["name"]: agent for agent in answer.json()["agents"]}
        assert agents.keys() == {"retriever", "analyzer", "writer"}
        for agent in agents.values():
            assert agent["description"]
            for name in ("mailbox_depth", "mailbox_capacity", "in_flight", "concurrency"):
                assert type(agent[name]) is int, name
            assert 0 <= agent["mailbox_depth"] <= agent["mailbox_capacity"]
        assert agents["writer"]["in_flight"] == 1 and agents["retriever"]["in_flight"] == 0
        assert (agents["analyzer"]["restarts"], agents["analyzer"]["retries"]) == (1, 2)
        assert (agents["writer"]["restarts"], agents["writer"]["retries"]) == (0, 0)


# --- OpenAPI ------------------------------------------------------------------------------------


def shape(path: str) -> str:
    """A path without the names of its parameters."""
    parts = ["{}" if part.startswith("{") else part for part in path.split("/")]
    return "/".join(parts)


def references(node: Any) -> list[str]:
    match node:
        case {"$ref": str(found)}:
            return [found]
        case dict():
            return [found for value in node.values() for found in references(value)]
        case list():
            return [found for value in node for found in references(value)]
    return []


async def test_openapi_lists_every_route_and_every_reference_resolves(served):
    async with scripted_api(served) as api:
        answer = await api.http.get("/openapi.json")

        document = answer.json()
        assert answer.headers["content-type"].split(";")[0] in {
            "application/json",
            "application/openapi+json",
        }
        assert document["openapi"].startswith("3.1.")
        assert document["info"]["title"] and document["info"]["version"]
        listed = {
            (method.upper(), shape(path))
            for path, item in document["paths"].items()
            for method in item
            if method in {"get", "post", "put", "patch", "delete"}
        }
        assert listed >= TABLE, TABLE - listed
        for reference in references(document):
            node = document
            for part in reference.removeprefix("#/").split("/"):
                node = node[part.replace("~1", "/").replace("~0", "~")]


async def test_each_operation_of_openapi_is_complete(served):
    async with scripted_api(served) as api:
        document = (await api.http.get("/openapi.json")).json()

    ids = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            ids.append(operation.get("operationId"))
            assert operation["responses"], (method, path)
            assert all(r.get("description") for r in operation["responses"].values()), path
            declared = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "path"}
            declared |= {p["name"] for p in item.get("parameters", []) if p.get("in") == "path"}
            assert declared == {part[1:-1] for part in path.split("/") if part.startswith("{")}
    given = [one for one in ids if one]
    assert len(given) == len(set(given))


async def test_openapi_names_the_queries_that_the_routes_take(served):
    expected = {
        ("/tasks", "get"): {"status", "limit", "cursor"},
        ("/tasks/{}/execute", "post"): {"after", "on_disconnect"},
        ("/tasks/{}/retry", "post"): {"after", "on_disconnect"},
        ("/tasks/{}/events", "get"): {"after", "follow"},
        ("/documents", "post"): {"title"},
        ("/documents", "get"): {"limit", "cursor"},
        ("/documents/search", "get"): {"q", "limit"},
    }
    async with scripted_api(served) as api:
        document = (await api.http.get("/openapi.json")).json()

    paths = {shape(path): item for path, item in document["paths"].items()}
    for (path, method), names in expected.items():
        parameters = paths[path][method].get("parameters", [])
        queries = {p["name"] for p in parameters if p.get("in") == "query"}
        assert queries >= names, (path, names - queries)


# --- Hosts and origins --------------------------------------------------------------------------

HOSTS = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]", "x y", "*"]


async def test_an_unknown_host_is_refused(served, subtests):
    async with scripted_api(served) as api:
        for host in HOSTS:
            with subtests.test(host):
                answer = await api.http.get("/tasks", headers={"Host": host})

                check_problem(answer, 403, "foreign_origin")


async def test_the_names_of_this_machine_are_known(served, subtests):
    async with scripted_api(served, server={"allowed_hosts": ("proxy.example",)}) as api:
        port = api.http.base_url.port
        for host in (
            f"127.0.0.1:{port}",
            f"localhost:{port}",
            f"LocalHost:{port}",
            "proxy.example",
        ):
            with subtests.test(host):
                assert (await api.http.get("/tasks", headers={"Host": host})).status_code == 200


async def test_a_foreign_origin_is_refused_and_does_nothing(served, subtests):
    async with scripted_api(served) as api:
        url = str(api.http.base_url).rstrip("/")
        origins = (
            "http://evil.example",
            "null",
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.0.0.1:1",
            f"{url}.evil.example",
            "file://",
            "",
        )
        for origin in origins:
            with subtests.test(origin):
                body = {"task_description": "stolen"}
                answer = await api.http.post("/tasks", json=body, headers={"Origin": origin})

                check_problem(answer, 403, "foreign_origin")

        assert (await api.http.get("/tasks")).json()["tasks"] == []


async def test_its_own_origin_is_accepted(served):
    async with scripted_api(served) as api:
        headers = {"Origin": str(api.http.base_url).rstrip("/")}
        answer = await api.http.post("/tasks", json={"task_description": "a"}, headers=headers)

        assert answer.status_code == 201


async def test_a_preflight_from_elsewhere_gets_no_permission(served):
    async with scripted_api(served) as api:
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
        answer = await api.http.options("/tasks", headers=headers)

        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers


# --- HEAD, OPTIONS and bytes that are not HTTP --------------------------------------------------


async def test_head_and_options_do_nothing_and_have_no_body(served, subtests):
    cast = Cast()
    async with scripted_api(served, cast, library=None) as api:
        task_id = await api.create()
        paths = ["/tasks", "/agents", "/health", "/openapi.json", "/documents", "/frogs"]
        for path in [*paths, *(f"/tasks/{task_id}{x}" for x in ("", "/status", "/execute"))]:
            for method in ("HEAD", "OPTIONS"):
                with subtests.test(f"{method} {path}"):
                    answer = await api.http.request(method, path)

                    assert answer.status_code in {200, 204, 404, 405}, answer.text
                    assert method == "OPTIONS" or answer.content == b""

        assert (await api.task(task_id))["status"] == "pending" and cast.plans.keys == []


async def test_head_has_the_headers_of_get(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        head = await api.http.head(f"/tasks/{task_id}")
        get = await api.http.get(f"/tasks/{task_id}")

        assert head.status_code == get.status_code == 200
        assert head.headers["content-type"] == get.headers["content-type"]
        assert head.headers.get("content-length") in {None, get.headers["content-length"]}


async def test_head_of_a_stream_answers_at_once_and_the_connection_goes_on(served):
    async with scripted_api(served) as api:
        task_id = await api.create()
        answer = await api.http.head(f"/tasks/{task_id}/events")
        assert answer.status_code in {200, 405} and answer.content == b""

        with trio.move_on_after(2) as waiting:
            await api.task(task_id)

        assert not waiting.cancelled_caught, "the next request on this connection hangs"


async def say(api: Api, words: bytes) -> bytes:
    """The answer to these bytes: up to the end of the connection, or the head of a success."""
    url = api.http.base_url
    heard = b""
    async with await trio.open_tcp_stream(url.host, url.port or 80) as socket:
        await socket.send_all(words.replace(b"$HOST", f"{url.host}:{url.port}".encode()))
        with trio.move_on_after(5):
            while more := await socket.receive_some():
                heard += more
                if b"\r\n\r\n" in heard and b"HTTP/1.1 400" not in heard:
                    break
    return heard


NO_HTTP = {
    "words": b"WHO GOES THERE\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a bad header": b"GET /tasks HTTP/1.1\r\nHost: $HOST\r\nno colon\r\n\r\n",
    "a bad length": b"POST /tasks HTTP/1.1\r\nHost: $HOST\r\nContent-Length: x\r\n\r\n",
    "two lengths": b"POST /tasks HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 1\r\n"
    b"Content-Length: 2\r\n\r\n",
    "length and chunks": b"GET /livez HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "no host": b"GET /tasks HTTP/1.1\r\n\r\n",
    "a bad chunk": b"POST /tasks HTTP/1.1\r\nHost: $HOST\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
}


@pytest.mark.parametrize("words", NO_HTTP.values(), ids=NO_HTTP.keys())
async def test_bytes_that_are_not_http_get_400_as_a_problem(served, words):
    async with scripted_api(served) as api:
        heard = await say(api, words)
        head, _, body = heard.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400"), heard
        assert b"application/problem+json" in head.lower()
        answer = httpx.Response(
            400, headers={"content-type": "application/problem+json"}, content=body
        )
        check_problem(answer, 400, None)
        assert (await api.http.get("/livez")).status_code == 200


FAULTS = {
    "h2c with bad base64": b"GET /livez HTTP/1.1\r\nHost: $HOST\r\nConnection: Upgrade, "
    b"HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !!!\r\n\r\n",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a websocket": b"GET /tasks HTTP/1.1\r\nHost: $HOST\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n",
    "an absolute target": b"GET http://evil.example/tasks HTTP/1.1\r\nHost: $HOST\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: $HOST\r\n\r\n",
    "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: $HOST\r\n\r\n",
    "half a body": b"POST /tasks HTTP/1.1\r\nHost: $HOST\r\nContent-Length: 100\r\n\r\n{",
}


@pytest.mark.parametrize("words", FAULTS.values(), ids=FAULTS.keys())
async def test_one_odd_connection_never_harms_the_others(served, words):
    cast = Cast(parts=["a ", "b "], pause_s=0.02)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            first = await stream.line()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(say, api, words)
                lines = [first, *await stream.rest()]
                nursery.cancel_scope.cancel()

            events = check_log(lines)

        assert events[-1]["event_type"] == "task_completed"
        assert (await api.http.get("/livez")).status_code == 200

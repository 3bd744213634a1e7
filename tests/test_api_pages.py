"""POST /documents with a URL: the server fetches the page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import trio
from api_client import GUARD_S, Api, check_document, check_problem
from web_site import PARAGRAPH, Site, answer, open_site, page, raw, redirect

from actors.fetching.fetcher import AT_A_TIME
from actors.settings import Settings
from actors.system import open_system

FROGS = page("On frogs", PARAGRAPH)


@asynccontextmanager
async def pages_api(served: Any, *, private: bool = True) -> AsyncIterator[tuple[Api, Site]]:
    with trio.fail_after(GUARD_S):
        async with open_site({"/frogs": answer(FROGS)}) as site:
            async with open_system(Settings(fetch_private=private)) as system:
                async with served(system) as http:
                    yield Api(http), site


async def post(api: Api, url: str, **query: str) -> httpx.Response:
    body, headers = json.dumps({"url": url}), {"Content-Type": "application/json"}
    return await api.http.post("/documents", content=body, headers=headers, params=query)


async def test_a_page_is_fetched_described_located_and_found(served):
    async with pages_api(served) as (api, site):
        added = await post(api, site.url("/frogs"))

        document = check_document(added.json())
        assert added.status_code == 201 and document["title"] == "On frogs"
        assert added.headers["location"] == f"/documents/{document['document_id']}"
        hits = (await api.http.get("/documents/search", params={"q": "zibbly"})).json()["results"]
        assert [hit["document_id"] for hit in hits] == [document["document_id"]]


async def test_the_same_page_is_the_existing_document_and_a_changed_one_takes_its_place(served):
    async with pages_api(served) as (api, site):
        first = await post(api, site.url("/frogs"))
        again = await post(api, site.url("/frogs"))
        assert again.status_code == 200 and again.json() == first.json()

        site.pages["/frogs"] = answer(page("On toads", PARAGRAPH))
        changed = await post(api, site.url("/frogs"), title="Toads")

        assert changed.status_code == 201 and changed.json()["title"] == "Toads"
        listed = (await api.http.get("/documents")).json()["documents"]
        assert [document["title"] for document in listed] == ["Toads"]


async def test_what_is_not_fetched_is_a_problem(served, subtests):
    async with pages_api(served) as (api, site):
        site.pages["/image"] = answer(b"x", "image/png")
        site.pages["/loop"] = redirect("/loop")
        site.pages["/empty"] = answer(b"", "text/plain")
        codes = {path: "fetch_refused" for path in ("/nothing", "/image", "/loop")}
        for path, code in {**codes, "/empty": "unreadable_document"}.items():
            with subtests.test(path):
                check_problem(await post(api, site.url(path)), 422, code)
        for url in ("x", "file:///etc/passwd", "http://a:secret@127.0.0.1/", "http://\0/"):
            with subtests.test(url):
                problem = check_problem(await post(api, url), 422, "fetch_refused")
                assert "secret" not in str(problem)


async def test_a_site_in_trouble_is_a_problem_that_may_pass(served):
    async with pages_api(served) as (api, site):
        site.pages["/busy"] = answer(status=503, Retry_After="17")
        site.pages["/cut"] = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")

        busy = await post(api, site.url("/busy"))
        check_problem(busy, 502, "fetch_failed")
        assert busy.headers["retry-after"] == "17"
        cut = await post(api, site.url("/cut"))
        check_problem(cut, 502, "fetch_failed")
        assert int(cut.headers["retry-after"]) >= 1


async def test_no_page_of_a_private_network_is_fetched(served):
    async with pages_api(served, private=False) as (api, site):
        for host in ("127.0.0.1", "localhost", "[::1]"):
            problem = check_problem(await post(api, site.url("/frogs", host)), 422, "fetch_refused")
            assert "fetch_private" in problem["detail"]

        assert site.asked == []


async def test_a_body_of_another_shape_is_refused(served, subtests):
    async with pages_api(served) as (api, site):
        url = site.url("/frogs")
        for body in ({}, {"url": 1}, {"url": ""}, {"url": url, "x": 1}, [url], "x", {"url": None}):
            with subtests.test(str(body)):
                check_problem(await api.http.post("/documents", json=body), 422, "invalid_request")
        for path in ("", "x"):
            surrogate = f"http://{path}\ud800/"
            check_problem(await post(api, surrogate), 422, "invalid_request")
        check_problem(await post(api, url, source="elsewhere"), 422, "invalid_request")
        nonsense: dict[str, Any] = {
            "content": b"{",
            "headers": {"Content-Type": "application/json"},
        }
        check_problem(await api.http.post("/documents", **nonsense), 400, "malformed_body")
        assert site.asked == []


async def test_more_pages_than_are_fetched_at_a_time_are_refused_for_now(served):
    gate = trio.Event()

    async def held(stream: trio.abc.Stream) -> None:
        await gate.wait()
        await answer(FROGS)(stream)

    async with pages_api(served) as (api, site):
        site.pages["/held"] = held
        answers: list[httpx.Response] = []

        async def fetch() -> None:
            answers.append(await post(api, site.url("/held")))

        async with trio.open_nursery() as nursery:
            for _ in range(AT_A_TIME):
                nursery.start_soon(fetch)
            while site.asked_for("/held") < AT_A_TIME:
                await trio.sleep(0.01)

            check_problem(await post(api, site.url("/frogs")), 503, "overloaded")
            gate.set()

        assert {answer.status_code for answer in answers} == {200, 201}
        assert (await post(api, site.url("/frogs"))).is_success

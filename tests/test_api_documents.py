"""The library over HTTP: add, find and delete documents."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from api_client import (
    GUARD_S,
    Api,
    check_document,
    check_log,
    check_passage,
    check_problem,
    of_type,
    parse,
)

from actors.errors import ExtraMissing
from actors.fetching.fetcher import Page
from actors.library.documents import ParsedText
from actors.library.library import open_library
from actors.library.parsing.frames import Job
from actors.library.schema import FILE_NAME
from actors.settings import Settings
from actors.system import open_system
from web.client import HttpService

TEXT = {"Content-Type": "text/plain"}
FROGS = b"The zibbly frog croaks at midnight.\n\nThe quorple toad sleeps until noon."


@asynccontextmanager
async def library_api(
    served: Any, data_dir: Path | None = None, **server: Any
) -> AsyncIterator[Api]:
    """The API over a real system."""
    with trio.fail_after(GUARD_S):
        async with open_system(Settings(data_dir=data_dir)) as system:
            async with served(system, **server) as http:
                yield Api(http)


async def add(api: Api, body: bytes = FROGS, media_type: str = "text/plain", **query: Any) -> Any:
    headers = {"Content-Type": media_type}
    answer = await api.http.post("/documents", content=body, headers=headers, params=query)
    assert answer.status_code == 201, answer.text
    return check_document(answer.json())


async def find(api: Api, q: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.http.get("/documents/search", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"results"}
    return [check_passage(passage, "score") for passage in answer.json()["results"]]


def pdf(text: str) -> bytes:
    """The smallest PDF with one line of text."""
    drawn = f"BT /F1 18 Tf 40 700 Td ({text}) Tj ET".encode()
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources 6 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Font << /F1 5 0 R >> >>",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 7\n0000000000 65535 f \n"
    trailer = b"trailer << /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)
    return out + head + table + trailer


async def test_a_document_is_described_located_and_found_at_once(served):
    async with library_api(served) as api:
        query = {"title": "Of frogs \u2028 and toads"}
        answer = await api.http.post("/documents", content=FROGS, headers=TEXT, params=query)

        document = check_document(answer.json())
        assert answer.status_code == 201
        assert document["title"].split() == ["Of", "frogs", "and", "toads"]
        assert document["media_type"] == "text/plain" and document["sample"] is False
        assert document["bytes"] == len(FROGS)
        assert document["sha256"] == hashlib.sha256(FROGS).hexdigest()
        assert document["passages"] >= 1
        url = f"/documents/{document['document_id']}"
        assert (await api.http.get(url)).json() == document
        (hit,) = await find(api, "zibbly")
        assert hit["document_id"] == document["document_id"]
        assert hit["title"] == document["title"] and "zibbly" in hit["text"]
        text = (await api.http.get(f"{url}/text")).text
        assert text[hit["start"] : hit["end"]] == hit["text"]


async def test_the_extracted_text_is_plain_text(served):
    async with library_api(served) as api:
        body = "Grün \u2028 und \U0001f438 quorple".encode()
        document = await add(api, body)

        answer = await api.http.get(f"/documents/{document['document_id']}/text")

        assert answer.status_code == 200
        assert re.fullmatch(
            r"text/plain; ?charset=utf-8", answer.headers["content-type"], re.IGNORECASE
        )
        assert "quorple" in answer.text and "Grün" in answer.text and "\U0001f438" in answer.text


FORMS = {
    "text/plain": b"A plain zibbly word.",
    "text/plain; charset=utf-8": "A plain zibbly wörd.".encode(),
    "text/markdown": b"# On frogs\n\nA *marked* zibbly word.",
    "text/html": b"<html><head><title>On frogs</title><script>var hidden=1</script></head>"
    b"<body><p>A zibbly word in a <b>page</b>.</p></body></html>",
    "application/pdf": pdf("A printed zibbly word."),
}


async def test_text_markdown_html_and_pdf_are_read(served, subtests):
    async with library_api(served) as api:
        for media_type, body in FORMS.items():
            with subtests.test(media_type):
                document = await add(api, body, media_type)

                assert document["media_type"] == media_type.split(";")[0]
                found = [hit["document_id"] for hit in await find(api, "zibbly")]
                assert document["document_id"] in found
                url = f"/documents/{document['document_id']}/text"
                text = (await api.http.get(url)).text
                assert "zibbly" in text and "hidden" not in text and "<b>" not in text
                assert document["title"]


async def test_the_same_bytes_give_the_existing_document(served):
    async with library_api(served) as api:
        first = await add(api)

        again = await api.http.post("/documents", content=FROGS, headers=TEXT)

        assert again.status_code == 200 and again.json() == first
        own = [d for d in (await api.http.get("/documents")).json()["documents"] if not d["sample"]]
        assert len(own) == 1 and len(await find(api, "zibbly")) == 1


async def test_the_same_bytes_at_the_same_time_make_one_document(served):
    async with library_api(served) as api:
        answers: list[httpx.Response] = []

        async def post() -> None:
            answers.append(await api.http.post("/documents", content=FROGS, headers=TEXT))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(post)

        assert sorted(answer.status_code for answer in answers) == [200] * 4 + [201]
        assert len({answer.json()["document_id"] for answer in answers}) == 1
        assert len(await find(api, "zibbly")) == 1


async def test_several_files_may_come_at_once(served):
    async with library_api(served) as api:
        files = [
            ("file", ("frogs.txt", FROGS, "text/plain")),
            ("file", ("marked.md", b"# Marked\n\nA mizzle of rain.", "text/markdown")),
        ]

        answer = await api.http.post("/documents", files=files)

        assert answer.status_code == 201, answer.text
        assert answer.json().keys() == {"documents"}
        one, two = map(check_document, answer.json()["documents"])
        assert (one["media_type"], two["media_type"]) == ("text/plain", "text/markdown")
        assert (await find(api, "zibbly"))[0]["document_id"] == one["document_id"]
        assert (await find(api, "mizzle"))[0]["document_id"] == two["document_id"]


async def test_a_deleted_document_cannot_be_found(served):
    async with library_api(served) as api:
        document = await add(api)
        url = f"/documents/{document['document_id']}"

        answer = await api.http.delete(url)

        assert answer.status_code == 204 and answer.content == b""
        found = {hit["document_id"] for hit in await find(api, "zibbly")}
        assert document["document_id"] not in found
        for path in (url, f"{url}/text"):
            check_problem(await api.http.get(path), 404, "document_not_found")
        check_problem(await api.http.delete(url), 404, "document_not_found")
        assert (await add(api))["sha256"] == document["sha256"]


UNREADABLE = {
    "application/pdf": b"this is no PDF",
    "application/pdf;": pdf("cut")[:200],
    "text/plain": b"\x00\x01\x02\x03" * 50,
    "text/html": b"<html><body></body></html>",
    "text/markdown": b"   \n\n",
}


async def test_a_document_without_text_is_unreadable(served, subtests):
    async with library_api(served) as api:
        before = (await api.http.get("/documents")).json()
        for media_type, body in UNREADABLE.items():
            with subtests.test(media_type):
                headers = {"Content-Type": media_type}
                answer = await api.http.post("/documents", content=body, headers=headers)

                check_problem(answer, 422, "unreadable_document")

        assert (await api.http.get("/documents")).json() == before


async def test_other_media_types_are_not_supported(served, subtests):
    async with library_api(served) as api:
        for media_type in ("image/png", "application/zip", "application/xml", "x", "video/mp4"):
            with subtests.test(media_type):
                headers = {"Content-Type": media_type}
                answer = await api.http.post("/documents", content=FROGS, headers=headers)

                check_problem(answer, 415, "unsupported_media_type")


async def test_a_file_of_a_wrong_kind_among_several_is_named_in_the_answer(served):
    async with library_api(served) as api:
        files = [
            ("file", ("frogs.txt", FROGS, "text/plain")),
            ("file", ("image.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "image/png")),
        ]

        answer = await api.http.post("/documents", files=files)

        assert answer.status_code in {415, 422}, answer.text  # API.md leaves it open.
        problem = check_problem(answer, answer.status_code, None)
        assert ["image.png" in error["loc"] for error in problem["errors"]] == [True]


async def test_a_multipart_body_without_a_file_is_refused(served, subtests):
    bodies = {
        "no parts": b"--x--\r\n",
        "a field only": b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
        "no end": b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nfrogs',
        "nonsense": b"frogs",
    }
    async with library_api(served) as api:
        for name, body in bodies.items():
            with subtests.test(name):
                headers = {"Content-Type": "multipart/form-data; boundary=x"}
                answer = await api.http.post("/documents", content=body, headers=headers)

                assert answer.status_code in {400, 422}, answer.text
                check_problem(answer, answer.status_code, None)


async def test_a_document_past_its_limit_is_too_large_and_a_large_one_is_not(served):
    limits: dict[str, Any] = {"max_body_bytes": 4_096, "max_document_bytes": 16_384}
    async with library_api(served, **limits) as api:
        large = b"The zibbly frog." * 1_024
        assert len(large) == limits["max_document_bytes"]
        await add(api, large)

        answer = await api.http.post("/documents", content=large + b".", headers=TEXT)

        check_problem(answer, 413, "too_large")


async def test_the_sample_library_is_there_before_anything_is_added(served):
    async with library_api(served) as api:
        page = (await api.http.get("/documents", params={"limit": 200})).json()

        assert page.keys() == {"documents", "next_cursor"} and page["documents"]
        for document in page["documents"]:
            assert check_document(document)["sample"] is True
        hits = await find(api, "event sourcing")
        assert hits and {hit["document_id"] for hit in hits} <= {
            document["document_id"] for document in page["documents"]
        }


async def test_documents_are_paged_like_tasks(served):
    async with library_api(served) as api:
        made = [(await add(api, b"Frog number %d." % n))["document_id"] for n in range(5)]
        path, seen = "/documents?limit=2", []
        while path:
            answer = await api.http.get(path)
            documents = [check_document(d) for d in answer.json()["documents"]]
            seen += [d["document_id"] for d in documents if not d["sample"]]
            link = re.fullmatch(r'<([^>]+)>; ?rel="next"', answer.headers.get("link", ""))
            assert (link is None) == (answer.json()["next_cursor"] is None)
            path = link[1] if link else ""

        assert seen == made[::-1]


async def test_a_search_gives_at_most_as_many_as_asked_best_first(served):
    async with library_api(served) as api:
        for n in range(12):
            await add(api, b"The zibbly frog, number %d." % n)

        assert len(await find(api, "zibbly")) == 10
        assert len(await find(api, "zibbly", limit=3)) == 3
        scores = [hit["score"] for hit in await find(api, "zibbly frog", limit=100)]
        assert len(scores) >= 12 and scores == sorted(scores, reverse=True)


async def test_unusual_queries_are_searched_as_plain_words(served, subtests):
    odd = [
        '"',
        "AND",
        "NEAR(a b)",
        "a*",
        "*",
        "(",
        "col:umn",
        "-zibbly",
        "'; drop table",
        "\U0001f438",
    ]
    async with library_api(served) as api:
        await add(api)
        for q in [*odd, "zibbly " * 2_000]:
            with subtests.test(q[:20]):
                await find(api, q)


async def test_a_task_cites_what_was_just_added_by_number(served):
    async with library_api(served) as api:
        document = await add(api, b"Zibbly frogs croak at midnight because the pond is cool then.")

        task_id = await api.create("Why do zibbly frogs croak at midnight?")
        events = check_log(await api.run(task_id))

        sources = events[-1]["data"]["sources"]
        (source,) = [s for s in sources if s["document_id"] == document["document_id"]]
        text = (await api.http.get(f"/documents/{document['document_id']}/text")).text
        assert text[source["start"] : source["end"]] == source["text"]
        assert "[1]" in events[-1]["data"]["final_output"]


async def test_deleting_a_document_never_alters_a_citation(served):
    async with library_api(served) as api:
        document = await add(api, b"Zibbly frogs croak at midnight because the pond is cool then.")
        task_id = await api.create("Why do zibbly frogs croak at midnight?")
        lines = await api.run(task_id)
        await api.http.delete(f"/documents/{document['document_id']}")

        assert await api.log(task_id) == lines


async def test_documents_and_tasks_are_still_there_after_a_restart(served, tmp_path):
    async with library_api(served, tmp_path / "data") as api:
        document = await add(api)
        lines = await api.run(await api.create("Why does the zibbly frog croak?"))
        task_id = parse(lines[0])["task_id"]

    async with library_api(served, tmp_path / "data") as api:
        assert (await api.http.get(f"/documents/{document['document_id']}")).json() == document
        assert len(await find(api, "zibbly")) == 1
        assert await api.log(task_id) == lines
        (completed,) = of_type(map(parse, lines), "task_completed")
        assert (await api.task(task_id))["final_output"] == completed["final_output"]


async def test_a_document_has_notes_about_what_its_parser_left_out(served):
    page = (
        b"<html><body><p>The zibbly frog.</p>"
        b"<dialog open><p>We use cookies.</p></dialog></body></html>"
    )
    async with library_api(served) as api:
        assert (await add(api))["notes"] == []
        document = await add(api, page, "text/html")

        assert document["notes"] and all(isinstance(note, str) for note in document["notes"])
        assert (await api.http.get(f"/documents/{document['document_id']}")).json() == document


class WithoutOffice:
    """A parser where the extra for Office documents is not installed."""

    async def parse(self, job: Job) -> ParsedText:
        raise ExtraMissing("office", "Reading .docx files")


async def test_a_media_type_that_needs_an_extra_names_it(served):
    docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    now = partial(datetime.now, UTC)
    async with open_library(None, now=now, parser=WithoutOffice()) as library:
        async with open_system(Settings(), library=library) as system:
            async with served(system) as http:
                headers = {"Content-Type": docx}
                answer = await http.post("/documents", content=b"PK..", headers=headers)
                problem = check_problem(answer, 422, "extra_missing")
                assert "pip install 'terzetto[office]'" in problem["detail"]

                with pytest.raises(ExtraMissing, match="office"):
                    await HttpService(http).add_page(
                        Page("http://a/b.docx", "http://a/b.docx", docx, b"PK..")
                    )


async def sources_of(api: Api, source: str) -> list[tuple[list[str], bool]]:
    answer = await api.http.get("/documents", params={"source": source})
    assert answer.status_code == 200, answer.text
    found = answer.json()["documents"]
    for one in found:
        check_document({name: one[name] for name in one.keys() - {"sources", "uploaded"}})
    return [(one["sources"], one["uploaded"]) for one in found]


async def test_documents_are_listed_by_their_source_or_its_folder(served):
    async with library_api(served) as api:
        await add(api, b"One frog.", source="/notes/a.txt")
        await add(api, b"Two frogs.", source="/notes/b/c.txt")
        await add(api, b"Three frogs.", source="/other/a.txt")
        await api.http.post("/documents", content=b"One frog.", headers=TEXT)

        one, two = (["/notes/a.txt"], True), (["/notes/b/c.txt"], False)
        assert await sources_of(api, "/notes") == [two, one]
        assert await sources_of(api, "/notes/b/c.txt") == [two]
        assert await sources_of(api, "/note") == []
        page = await api.http.get("/documents?source=/notes&limit=1")
        assert "source=%2Fnotes" in page.headers["link"] and page.json()["next_cursor"]
        check_problem(await api.http.get("/documents?source="), 422, "invalid_request")


async def test_a_forgotten_source_deletes_what_nothing_else_holds(served):
    async with library_api(served) as api:
        gone = await add(api, b"One frog.", source="/a.txt")
        kept = await add(api, b"Two frogs.", source="/b.txt")
        await api.http.post("/documents", content=b"Two frogs.", headers=TEXT)

        first = await api.http.delete("/documents", params={"source": "/a.txt"})
        second = await api.http.delete("/documents", params={"source": "/b.txt"})

        assert (first.status_code, first.json()) == (200, {"documents": [gone]})
        assert (second.status_code, second.json()) == (200, {"documents": []})
        left = (await api.http.get("/documents")).json()["documents"]
        assert left == [kept]
        again = await api.http.delete("/documents", params={"source": "/a.txt"})
        check_problem(again, 404, "document_not_found")
        check_problem(await api.http.delete("/documents"), 422, "invalid_request")


async def test_documents_of_an_older_parser_are_counted_and_updated(served, tmp_path):
    async with library_api(served, tmp_path) as api:
        document = await add(api)
        await add(api, b"Another one.")
    with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as db:
        db.execute("UPDATE documents SET parser = parser - 1")

    async with library_api(served, tmp_path) as api:
        health = (await api.http.get("/health")).json()["library"]
        assert health == {"documents": 2, "excerpts": 3, "encoded": 0, "to_rebuild": 2}

        answer = await api.http.post("/documents", content=FROGS, headers=TEXT)

        assert (answer.status_code, answer.json()) == (200, document | {"updated": True})
        assert (await api.http.get("/health")).json()["library"]["to_rebuild"] == 1
        answer = await api.http.post("/documents", files={"file": ("a", b"Another one.", None)})
        assert answer.json()["documents"][0]["updated"] is True
        assert (await api.http.post("/documents", content=FROGS, headers=TEXT)).json() == document

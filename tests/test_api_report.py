"""GET /tasks/{id}/report: the report as Markdown and as HTML that is safe to show."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from api_client import Api, check_problem, scripted_api
from hypothesis import given
from hypothesis import strategies as st
from scripted import Cast
from test_api_documents import add, library_api

from actors.tasks.evidence import Source
from web.api.reports import as_html, as_markdown, links_of

HTML = {"Accept": "text/html"}
DOCUMENT = "0b9d1c5e-6a3f-4d1e-9d57-2f3a1f0c7e11"
SOURCES = (
    Source(1, DOCUMENT, "The *Pond*", "Frogs", 3, "They sing.", 10, 20),
    Source(2, "tool:notes:1", "Notes", "", 1, "They jump."),
    Source(3, DOCUMENT, "Toads", "", 4, "They sleep.", 30, 40),
)
FIRST = f"/documents/{DOCUMENT}/text#char=10,20"
THIRD = f"/documents/{DOCUMENT}/text#char=30,40"


class Shown(HTMLParser):
    """The elements of HTML, the attributes of each, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str | None]:
        return [attrs["href"] for tag, attrs in self.elements if tag == "a"]


async def completed(api: Api, task: str = "frogs") -> str:
    task_id = await api.create(task)
    await api.run(task_id)
    return task_id


async def test_a_report_is_markdown_whose_sources_link_to_their_place_in_the_document(served):
    async with library_api(served) as api:
        document = await add(api, b"# Pond\n\nZibbly frogs croak at midnight.\n", "text/markdown")
        task_id = await completed(api, "When do zibbly frogs croak?")

        answer = await api.http.get(f"/tasks/{task_id}/report")

        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        final = (await api.task(task_id))["final_output"]
        link = re.search(r"\]\((/documents/(.+)/text#char=(\d+),(\d+))\)\n", answer.text)
        assert link is not None and link[2] == document["document_id"]
        assert answer.text == re.sub(r"(?m)^1\. (.*)$", rf"1. [\1]({link[1]})", final)
        text = (await api.http.get(link[1])).text
        assert "croak at midnight" in text[int(link[3]) : int(link[4])]


async def test_a_browser_gets_html_whose_citations_and_sources_are_links(served):
    async with library_api(served) as api:
        document = await add(api, b"# Pond\n\nZibbly frogs croak at midnight.\n", "text/markdown")
        task_id = await completed(api, "When do zibbly frogs croak?")

        accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        answer = await api.http.get(f"/tasks/{task_id}/report", headers={"Accept": accept})

        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "sandbox" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        shown = Shown(answer.text)
        assert "croak at midnight. [1]" in shown.text
        assert len(shown.links) == 2
        assert all(
            f"/documents/{document['document_id']}/text#" in str(link) for link in shown.links
        )


@pytest.mark.parametrize("accept", ["text/markdown", "text/html"])
async def test_below_a_path_of_a_proxy_the_links_begin_with_that_path(served, accept):
    async with library_api(served, trusted_proxies=("127.0.0.1",)) as api:
        document = await add(api, b"# Pond\n\nZibbly frogs croak at midnight.\n", "text/markdown")
        task_id = await completed(api, "When do zibbly frogs croak?")

        headers = {"Accept": accept, "X-Forwarded-Prefix": "/below"}
        answer = await api.http.get(f"/tasks/{task_id}/report", headers=headers)

        links = re.findall(r"""[("]([^("]*/documents/[^)"]+)""", answer.text)
        assert links
        assert all(
            link.startswith(f"/below/documents/{document['document_id']}/text") for link in links
        )


@pytest.mark.parametrize("accept", ["*/*", "text/*", "text/markdown", "image/png", "text/html;q=0"])
async def test_markdown_is_the_default(served, accept):
    async with scripted_api(served) as api:
        answer = await api.http.get(
            f"/tasks/{await completed(api)}/report", headers={"Accept": accept}
        )

        assert answer.text == "Frogs sing. [1]"
        assert answer.headers["content-type"].startswith("text/markdown")
        assert answer.headers["vary"] == "Accept"


async def test_a_task_that_wrote_nothing_has_no_report_yet(served):
    async with scripted_api(served) as api:
        answer = await api.http.get(f"/tasks/{await api.create()}/report")

        assert (answer.status_code, answer.content) == (204, b"")


async def test_what_is_written_so_far_is_read_while_the_rest_is_written(served):
    async with scripted_api(
        served, Cast(parts=["Frogs ", "sing."], writes=[60.0], act_after=1)
    ) as api:
        task_id = await api.create()
        async with api.execute(task_id) as stream:
            await stream.until("partial_output")

            answer = await api.http.get(f"/tasks/{task_id}/report")

            assert answer.text == "Frogs "
            await api.cancel(task_id)


async def test_what_was_written_before_a_failure_is_kept_as_the_report(served):
    cast = Cast(parts=["Frogs ", "sing."], writes=[RuntimeError("no ink")] * 5, act_after=1)
    async with scripted_api(served, cast) as api:
        task_id = await api.create()
        await api.run(task_id)

        assert (await api.task(task_id))["status"] == "failed"
        assert (await api.http.get(f"/tasks/{task_id}/report")).text == "Frogs "
        shown = await api.http.get(f"/tasks/{task_id}/report", headers=HTML)
        assert Shown(shown.text).text.strip() == "Frogs"


@pytest.mark.parametrize("task_id", ["x", DOCUMENT])
async def test_a_task_that_is_not_there_has_no_report(served, task_id):
    async with scripted_api(served) as api:
        check_problem(await api.http.get(f"/tasks/{task_id}/report"), 404, "task_not_found")


@pytest.mark.parametrize(
    ("written", "linked"),
    [
        ("1. Pond\n2. Notes\n", f"1. [Pond]({FIRST})\n2. Notes\n"),
        ("- [1] Pond\n- [3] Toads\n", f"- [1] [Pond]({FIRST})\n- [3] [Toads]({THIRD})\n"),
        ("- [9] Unknown\n", "- [9] Unknown\n"),
    ],
)
def test_the_list_of_sources_of_every_writer_is_linked(written, linked):
    before = "# Report\n\n1. A step\n\n## Sources\n\nNone of them.\n\n"
    text = f"{before}## Sources\n\n{written}"

    assert as_markdown(text, links_of(SOURCES)) == f"{before}## Sources\n\n{linked}"


def test_every_number_of_a_citation_is_a_link_and_nothing_else_is():
    text = "A [1], B [1, 3] C [2] [7] `[1]` \\[1\\].\n\n| x |\n| --- |\n| D [3] |\n\n    [1]\n"

    shown = Shown(as_html(text, SOURCES))

    assert shown.links == [FIRST, FIRST, THIRD, THIRD]
    titles = [attrs.get("title") for tag, attrs in shown.elements if tag == "a"]
    assert titles[0] == "The *Pond*, section “Frogs”, passage 3"
    assert "A [1], B [1, 3] C [2] [7] [1] [1]." in shown.text


DANGEROUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "[a](JaVaScRiPt&colon;alert(1))",
    "[a](java&Tab;script:alert(1))",
    "[a](&#1;javascript:alert(1))",
    "[a](data:text/html,<script>)",
    "[a](vbscript:x)",
    "[a](file:///etc/passwd)",
    "<javascript:alert(1)>",
    "[a]: javascript:x\n\n[a]",
    "![a](http://tracker.example/x.png)",
    '[a](http://x "&quot; onclick=alert(1)")',
    "[1](javascript:alert(1))",
    "<!-- x --><style>*{}</style>",
]
SAFE = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
    *("em", "strong", "a", "br", "hr", "table", "thead", "tbody", "tr", "th", "td"),
}


def check_safe(html: str) -> None:
    for tag, attrs in Shown(html).elements:
        assert tag in SAFE, (tag, html)
        assert attrs.keys() <= {"href", "title", "rel", "start", "class", "style"}, (attrs, html)
        assert re.fullmatch(r"(text-align:(left|right|center))?", attrs.get("style") or "")
        assert re.match(r"https?://|[^:]*([/?#]|$)", attrs.get("href") or ""), (attrs, html)


@pytest.mark.parametrize("text", DANGEROUS)
def test_html_holds_no_markup_script_image_or_odd_address_of_the_text(text):
    check_safe(as_html(f"Frogs {text} sing [1].", SOURCES))
    check_safe(as_html(text, SOURCES))


PIECES = [
    *DANGEROUS,
    *"<>[]()\"'\\`*_#|!&:;/ \n\t",
    "1",
    "[1]",
    "](",
    "http://x",
    "a:b",
    "## Sources",
]


@given(st.lists(st.sampled_from(PIECES), max_size=20))
def test_no_text_makes_html_that_is_not_safe(pieces):
    check_safe(as_html("".join(pieces), SOURCES))

"""The agents over pages of Debian's python3.11-doc, where it is installed.

Rule: every line of a quote is found, word for word, in the page that it cites.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from reporting import report_on
from selectolax.lexbor import LexborHTMLParser

from actors.library.library import Library, open_library
from actors.library.parsing.inline import InlineParser

DOCS = Path("/usr/share/doc/python3.11/html")
PAGES = (
    "library/asyncio-task.html",
    "library/asyncio-dev.html",
    "library/asyncio-runner.html",
    "library/threading.html",
    "library/concurrent.futures.html",
    "library/argparse.html",
    "library/gc.html",
    "faq/design.html",
    "tutorial/datastructures.html",
)
NOW = datetime(2026, 1, 31, tzinfo=UTC)
MARKS = re.compile(r"^(?:… |[-•] |\d+\. )+| …$")

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="python3.11-doc is not installed")


@pytest.fixture
async def library() -> AsyncIterator[Library]:
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as opened:
        for page in PAGES:
            await opened.add((DOCS / page).read_bytes(), media_type="text/html", source=page)
        yield opened


def page_texts() -> dict[str, str]:
    """What a browser shows of each page, by its title."""
    texts: dict[str, str] = {}
    for page in PAGES:
        tree = LexborHTMLParser((DOCS / page).read_text(encoding="utf-8"))
        for mark in tree.css("a.headerlink"):
            mark.decompose()
        heading, body = tree.css_first("h1"), tree.body
        assert heading is not None and body is not None
        texts[" ".join(heading.text().split())] = " ".join(body.text().split())
    return texts


def lines_of(quote: str) -> list[str]:
    """The lines of a quote without what lays them out: cells, marks of lists, ellipses."""
    cells = [cell for line in quote.split("\n") for cell in line.strip("| ").split(" | ")]
    return [MARKS.sub("", " ".join(cell.split())) for cell in cells if cell.strip()]


@pytest.mark.parametrize(
    ("task", "questions", "title"),
    [
        (
            "How do asyncio tasks get cancelled, and how does that differ from threads?",
            2,
            "Coroutines and Tasks",
        ),
        ("how to parse command line arguments", 1, "argparse"),
        ("What is the difference between a list and a tuple?", 1, "5. Data Structures"),
        ("How does the garbage collector deal with reference cycles?", 1, "gc"),
    ],
)
async def test_every_line_of_a_report_is_in_the_page_that_it_cites(
    library: Library, task: str, questions: int, title: str
) -> None:
    written = await report_on(task, library)
    pages = page_texts()

    assert len(written.plan.questions) == len(written.findings.sections) == questions
    assert any(cited.startswith(title) for cited in written.titles)
    for section in written.findings.sections:
        assert section.answers and section.findings
        for finding in section.findings:
            page = pages[written.titles[finding.source]]
            for line in lines_of(finding.text):
                assert line in page


async def test_a_report_on_what_the_docs_do_not_cover_says_so_first(library: Library) -> None:
    for task in ("What is the capital of France?", "How do I bake sourdough bread?"):
        written = await report_on(task, library)

        assert "nothing" in written.text.split("\n\n")[1].lower()

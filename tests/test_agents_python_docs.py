"""The agents over pages of Debian's python3.11-doc, where it is installed.

Rule: every cited sentence is found, word for word, in the page that it cites.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from selectolax.lexbor import LexborHTMLParser
from test_agents import report_on

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
CITED = re.compile(r"(?P<text>[^\n]+?) \[(?P<n>\d+)\](?= |\n)")

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


@pytest.mark.parametrize(
    ("task", "retrievals"),
    [
        ("How do asyncio tasks get cancelled, and how does that differ from threads?", 2),
        ("how to parse command line arguments", 1),
        ("What is the difference between a list and a tuple?", 2),
        ("How does the garbage collector deal with reference cycles?", 1),
    ],
)
async def test_every_sentence_of_a_report_is_in_the_page_that_it_cites(
    library: Library, task: str, retrievals: int
) -> None:
    text, made, findings, report = await report_on(task, library)
    pages = page_texts()
    titles = {source.n: source.title for source in report.sources}

    cited = [
        (found["text"].lstrip(), int(found["n"]))
        for found in CITED.finditer(text.partition("## Sources")[0])
    ]

    assert [step.depends_on for step in made.steps if step.step == "retrieval"] == [
        ("s1",)
    ] * retrievals
    assert len(cited) == len(findings.answer) + sum(len(s.findings) for s in findings.sections) > 3
    for sentence, number in cited:
        assert sentence in pages[titles[number]]


async def test_a_report_on_what_the_docs_do_not_cover_cites_nothing(library: Library) -> None:
    for task in ("What is the capital of France?", "How do I bake sourdough bread?"):
        text, _, _, report = await report_on(task, library)

        assert report.sources == ()
        assert "The library has nothing on this." in text

"""How well reports keep to their question: the Python FAQ's own questions, asked over its manuals.

    python tests/bench/answer_focus.py [--docs /usr/share/doc/python3.11/html]

The folder is that of Debian's package python3.11-doc. Each heading of the FAQ that is a question is
asked; the text below it is what a person has written as the answer. Printed is the share of cited
sentences that come from there: with the heading in place, and without it, where only the text can
tell. It is a figure to compare versions by: a sentence from elsewhere may be a good one, too.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import trio
from selectolax.lexbor import LexborHTMLParser

from actors.agents.extractive.planning import plan
from actors.agents.extractive.weighing import weigh
from actors.agents.retriever import RetrieverAgent
from actors.library.library import open_library
from actors.library.parsing.inline import InlineParser
from actors.messages import Retrieve
from actors.runtime.call import Call
from actors.tasks.evidence import Evidence, Passage
from actors.tasks.plan import Plan

MANUALS = ("library", "howto", "tutorial", "faq", "whatsnew")
NOW = datetime(2026, 1, 31, tzinfo=UTC)

Asked = tuple[str, Plan, tuple[Evidence, ...]]


async def main(docs: Path) -> None:
    nobody = cast(Call[Any], None)  # The retriever sends no parts.
    asked: list[Asked] = []
    async with open_library(None, now=lambda: NOW, parser=InlineParser()) as library:
        for manual in MANUALS:
            for page in sorted((docs / manual).glob("*.html")):
                source = f"{manual}/{page.name}"
                await library.add(page.read_bytes(), media_type="text/html", source=source)
        retriever = RetrieverAgent(library)
        for question in questions(docs / "faq"):
            made = plan(question)
            requests = [Retrieve("bench/s2", each) for each in made.questions]
            evidence = tuple([await retriever.handle(r, nobody) for r in requests])
            asked.append((question, made, evidence))
    print("questions", len(asked))
    print("with headings   ", figures(asked, headings=True))
    print("without headings", figures(asked, headings=False))


def questions(folder: Path) -> list[str]:
    """The headings of these pages that are questions."""
    found: list[str] = []
    for page in sorted(folder.glob("*.html")):
        tree = LexborHTMLParser(page.read_text(encoding="utf-8"))
        for mark in tree.css("a.headerlink"):
            mark.decompose()
        found += [" ".join(heading.text().split()) for heading in tree.css("h2, h3")]
    return [heading for heading in dict.fromkeys(found) if heading.endswith("?")]


def figures(asked: list[Asked], *, headings: bool) -> str:
    """Shares over the questions whose answer was among what the search found."""
    retrieved = opened = sentences = own = 0
    for question, made, evidence in asked:
        gold = {p.key for found in evidence for p in found.passages if answers(p, question)}
        if not gold:
            continue
        if not headings:
            evidence = tuple(
                replace(e, passages=tuple(_bare(p) if p.key in gold else p for p in e.passages))
                for e in evidence
            )
        findings = weigh(made, evidence)
        every = [*findings.answer, *(f for s in findings.sections for f in s.findings)]
        from_own = [findings.sources[finding.source].key in gold for finding in every]
        retrieved += 1
        opened += from_own[:1] == [True]
        sentences += len(every)
        own += sum(from_own)
    return (
        f"retrieved {retrieved}, first sentence from the answer {opened / retrieved:.3f}, "
        f"all sentences {own / max(1, sentences):.3f}, sentences {sentences / retrieved:.1f}"
    )


def answers(passage: Passage, question: str) -> bool:
    return "FAQ" in passage.title and passage.section == question


def _bare(passage: Passage) -> Passage:
    return replace(passage, section="")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--docs", type=Path, default=Path("/usr/share/doc/python3.11/html"))
    trio.run(main, parser.parse_args().docs)

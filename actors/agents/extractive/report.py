"""From findings to the text of a report, part by part.

Rule: every sentence that states something is word for word from a source and carries its number.
What is not from a source (headings, notes) states nothing but what the library has and has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from actors.agents.extractive.headline import headline
from actors.tasks.evidence import Finding, Findings, Section
from actors.tasks.report import PARAGRAPH, numbered_sources, opening, place

_NOTHING = (
    "The library has nothing on this. "
    "Add documents that cover it with `terzetto ingest PATH`, then ask again.\n"
)


def parts(task_description: str, findings: Findings) -> Iterator[str]:
    """The report in Markdown, about a sentence at a time. The parts, joined, are its text."""
    yield from opening(headline(task_description), findings)
    if not findings.sources:
        yield _NOTHING
        return
    if findings.answer:
        yield "## Answer\n\n"
        yield from _block(findings.answer)
    if len(findings.sections) == 1:
        yield from _detail(findings.sections[0])
    else:
        for section in findings.sections:
            yield from _section(section)
    yield "## Sources\n\n"
    for source in numbered_sources(findings.sources):
        yield f"{source.n}. {place(source)}\n"


def _detail(section: Section) -> Iterator[str]:
    """What more there is on the only question, which the title says already."""
    if section.findings:
        yield "## In detail\n\n"
        yield from _block(section.findings)


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.question.text}\n\n"
    if section.findings:
        yield from _block(section.findings)
    elif section.in_answer:
        yield "What the library has on this stands in the answer above.\n\n"
    else:
        yield f"The library has nothing on “{section.question.text}”.\n\n"


def _block(findings: Iterable[Finding]) -> Iterator[str]:
    """Cited sentences; those of one source make a paragraph, with what is shown around them."""
    cited = list(findings)
    for finding, following in zip_longest(cited, cited[1:]):
        if finding.term:
            yield _fenced(finding.term)
        goes_on = (
            following is not None
            and following.source == finding.source
            and not (finding.listing or finding.items or following.term)
        )
        number = finding.source + 1
        yield f"{finding.text} [{number}]{' ' if goes_on else PARAGRAPH}"
        for item in finding.items:
            yield f"- {item} [{number}]\n"
        if finding.items:
            yield "\n"
        if finding.listing:
            yield _fenced(finding.listing)


def _fenced(listing: str) -> str:
    """A listing as a block of code, whatever it contains."""
    fence = "```"
    while fence in listing:
        fence += "`"
    return f"{fence}\n{listing}\n{fence}{PARAGRAPH}"

"""From findings to the text of a report, part by part.

Rule: every sentence that states something is word for word from a source and carries its number.
What is not from a source (headings, notes) states nothing but what the library has and has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from actors.agents.extractive.headline import headline
from actors.tasks.evidence import Finding, Findings, Passage, Section, Source

PARAGRAPH = "\n\n"

_SAMPLE = (
    "*This report draws on Terzetto's sample library. "
    "Add your own documents with `terzetto ingest PATH`.*\n\n"
)
_NOTHING = (
    "The library has nothing on this. "
    "Add documents that cover it with `terzetto ingest PATH`, then ask again.\n"
)


def parts(task_description: str, findings: Findings) -> Iterator[str]:
    """The report in Markdown, about a sentence at a time. The parts, joined, are its text."""
    yield from opening(task_description, findings)
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
    for number, source in enumerate(findings.sources, start=1):
        yield f"{number}. {place(source)}\n"


def opening(task_description: str, findings: Findings) -> Iterator[str]:
    """The title, and a note if the library is the sample."""
    yield f"# {headline(task_description)}\n\n"
    if findings.sample:
        yield _SAMPLE


def sources(findings: Findings) -> tuple[Source, ...]:
    """The sources with the numbers under which the report cites them."""
    return tuple(
        Source(number, s.document_id, s.title, s.section, s.position, s.text)
        for number, s in enumerate(findings.sources, start=1)
    )


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


def place(source: Passage | Source) -> str:
    """Where a passage stands, as people read it."""
    section = f", section “{source.section}”" if source.section else ""
    return f"{source.title}{section}, passage {source.position}"

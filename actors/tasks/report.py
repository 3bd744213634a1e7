"""The parts of a report that every writer shares: title, numbered sources, where a passage stands.

Rule: pure, and the same for every writer, so that a source is cited in one way only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from actors.tasks.evidence import Findings, Passage, Source

PARAGRAPH = "\n\n"

SAMPLE_NOTE = (
    "*This report draws on Terzetto's sample library. "
    "Add your own documents with `terzetto ingest PATH`.*\n\n"
)


def opening(title: str, findings: Findings) -> Iterator[str]:
    """The title, and a note if the library is the sample."""
    yield f"# {title}\n\n"
    if findings.sample:
        yield SAMPLE_NOTE


def numbered_sources(passages: Iterable[Passage]) -> tuple[Source, ...]:
    """The passages with the numbers under which a report cites them."""
    return tuple(
        Source(number, p.document_id, p.title, p.section, p.position, p.text, p.start, p.end)
        for number, p in enumerate(passages, start=1)
    )


def place(source: Passage | Source) -> str:
    """Title, section and position of a passage, for people."""
    section = f", section “{source.section}”" if source.section else ""
    return f"{source.title}{section}, passage {source.position}"

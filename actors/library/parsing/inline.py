"""From the bytes of a document to what is indexed of it, without a process around it.

Rule: this is just what the child process does, in the caller's own thread and time.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.errors import UnreadableDocument
from actors.library.documents import ParsedText
from actors.library.excerpts import cut_excerpts
from actors.library.layout import lay_out
from actors.library.parsing.blocks import Block
from actors.library.parsing.frames import Job
from actors.library.parsing.parse import parse
from actors.library.passages import cut_passages
from actors.tasks.evidence import Excerpt, Origin, Passage

MAX_TEXT = 32 * 1024 * 1024
"""Characters of a document's text."""


def parsed_text(job: Job) -> ParsedText:
    """A document as text, passages and excerpts; raises what `parse` raises."""
    parsed = parse(job.body, media_type=job.media_type, title=job.title, file_name=job.file_name)
    return indexed_text(parsed.title, parsed.blocks, parsed.notes, parsed.language)


def indexed_text(
    title: str, blocks: Iterable[Block], notes: tuple[str, ...] = (), language: str = ""
) -> ParsedText:
    """Blocks laid out as text and cut into passages and excerpts."""
    layout = lay_out(blocks)
    if len(layout.text) > MAX_TEXT:
        raise UnreadableDocument("This document holds too much text. Send it in smaller parts.")
    passages, excerpts = cut_passages(layout), cut_excerpts(layout)
    return ParsedText(title, layout.text, passages, excerpts, notes, language)


def passages_of(parsed: ParsedText, document_id: str) -> tuple[Passage, ...]:
    """The passages of a text that is not in a library."""
    return tuple(
        Passage(
            document_id, parsed.title, cut.section, cut.position, cut.text, 0.0, cut.start, cut.end
        )
        for cut in parsed.passages
    )


def excerpts_of(parsed: ParsedText, document_id: str, origin: Origin) -> tuple[Excerpt, ...]:
    """The excerpts of a text that is not in a library, without scores."""
    found = []
    for cut in parsed.excerpts:
        position = next((p.position for p in parsed.passages if p.end > cut.start), 1)
        found.append(
            Excerpt(
                document_id,
                parsed.title,
                cut.headings,
                position,
                cut.start,
                cut.end,
                cut.kind,
                cut.text,
                cut.lead,
                origin=origin,
            )
        )
    return tuple(found)


class InlineParser:
    """A `Parser` that waits for nothing, as virtual time needs it."""

    async def parse(self, job: Job) -> ParsedText:
        return parsed_text(job)

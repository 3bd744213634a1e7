"""The parser without a process around it: for the sample library, and for tests.

Rule: it does what the child process does, in the caller's own thread.
"""

from __future__ import annotations

from actors.errors import UnreadableDocument
from actors.library.parsed import ParsedText
from actors.library.parsing.blocks import plain_text
from actors.library.parsing.frames import Job
from actors.library.parsing.parse import parse
from actors.library.passages import passages

_LONGEST_TEXT = 32 * 1024 * 1024


def parsed_text(job: Job) -> ParsedText:
    """A document as text and passages; raises what `parse` raises."""
    parsed = parse(job.body, media_type=job.media_type, title=job.title, file_name=job.file_name)
    text = plain_text(parsed.blocks)
    if len(text) > _LONGEST_TEXT:
        raise UnreadableDocument("This document holds too much text. Send it in smaller parts.")
    cuts = tuple(passages(parsed.blocks))
    return ParsedText(parsed.title, text, cuts, parsed.notes, parsed.language)


class InlineParser:
    """A `Parser` that never waits, as tests under a virtual clock need it."""

    async def parse(self, job: Job) -> ParsedText:
        return parsed_text(job)

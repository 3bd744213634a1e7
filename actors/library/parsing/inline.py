"""The parser without a process around it: for our own texts, and for tests.

Rule: it does just what the child process does, in the caller's own thread and time.
"""

from __future__ import annotations

from actors.errors import UnreadableDocument
from actors.library.documents import ParsedText
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
    return ParsedText(parsed.title, text, tuple(passages(parsed.blocks)))


class InlineParser:
    """A `Parser` that waits for nothing, as virtual time needs it."""

    async def parse(self, job: Job) -> ParsedText:
        return parsed_text(job)

"""What a document becomes, in the short form in which tests compare it."""

from __future__ import annotations

from actors.library.parsing.parse import Parsed, parse


def parsed(text: str | bytes, media_type: str) -> Parsed:
    body = text.encode() if isinstance(text, str) else text
    charset = "" if isinstance(text, bytes) else "; charset=utf-8"
    return parse(body, media_type=media_type + charset)


def shown(document: Parsed) -> list[str]:
    """A line for each block: headings, kind, marker, depth where there is any, and text."""
    return [
        " > ".join(block.headings)
        + f"[{block.kind}{' ' + block.marker if block.marker else ''}"
        + f"{' ' + str(block.depth) if block.depth else ''}] {block.text}"
        for block in document.blocks
    ]

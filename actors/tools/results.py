"""The text of what a tool answers.

Rule: bounded, whatever the tool sends, and what is no text is named and passed over.
"""

from __future__ import annotations

import json

import mcp_types as types

from actors.tools.catalog import ToolResult

MAX_MESSAGE_CHARACTERS = 500
MAX_NAMED = 8


def result_of(answer: types.CallToolResult, most_bytes: int) -> ToolResult:
    """All its texts; or, if it has none, its structured content as JSON."""
    texts: list[str] = []
    others: list[str] = []
    for block in answer.content:
        match block:
            case types.TextContent(text=text):
                texts.append(text)
            case types.EmbeddedResource(resource=types.TextResourceContents(text=text)):
                texts.append(text)
            case types.ImageContent() | types.AudioContent():
                others.append(on_one_line(f"{block.type} {block.mime_type}"))
            case types.ResourceLink():
                others.append(on_one_line(f"link {block.uri}"))
            case types.EmbeddedResource(resource=resource):
                others.append(on_one_line(f"file {resource.mime_type or resource.uri}"))
    if not any(texts) and answer.structured_content is not None:
        texts = [json.dumps(answer.structured_content, ensure_ascii=False, indent=1)]
    text = "\n\n".join(texts)
    kept = _cut(text, most_bytes)
    return ToolResult(kept, tuple(others[:MAX_NAMED]), cut=len(kept) < len(text))


def on_one_line(text: str) -> str:
    """A text from elsewhere for a message: short, and without control characters."""
    line = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_MESSAGE_CHARACTERS])
    line = " ".join(line.split())
    most = MAX_MESSAGE_CHARACTERS
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _cut(text: str, most_bytes: int) -> str:
    """As much of a text as fits, up to the end of a word."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= most_bytes:
        return text
    head = encoded[:most_bytes].decode(errors="ignore")
    words, space, _ = head[-200:].rpartition(" ")
    return head[:-200] + words if space else head

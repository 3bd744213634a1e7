"""E-mail as blocks: who wrote to whom, when and about what, and the text.

Rule: of the parts that say the same, the plain text is read; attachments are counted.
"""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from email.errors import MessageError
from email.message import Message
from itertools import islice
from typing import Any

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Block, Parsed, collapsed
from actors.library.parsing.decoding import decoded, decoding_notes
from actors.library.parsing.formats.html import parse_html
from actors.library.parsing.formats.plain_text import parse_text

_HEADERS = ("From", "To", "Cc", "Date", "Subject")
_MOST_PARTS = 1_000
_LONGEST_HEADER = 32_000
"""Characters of a header that are read: nested words take quadratic time and memory."""


class _ShortHeaders(policy.EmailPolicy):
    def header_fetch_parse(self, name: str, value: str) -> Any:
        return super().header_fetch_parse(name, value[:_LONGEST_HEADER])


def parse_email(body: bytes) -> Parsed:
    """A message; its title is its subject."""
    message = message_from_bytes(body, policy=_ShortHeaders())
    headers = [(name, value) for name in _HEADERS if (value := _header(message, name))]
    if not headers:
        raise UnreadableDocument("This is not an e-mail: it has no From, To, Date or Subject.")
    # The subject is the title; as a line of its own it would come before the answer to it.
    blocks = [Block(f"{name}: {value}", "pair") for name, value in headers if name != "Subject"]
    texts, left_out = _texts(message)
    notes: list[str] = []
    for text in texts:
        parsed = _part(text)
        blocks += parsed.blocks
        notes += parsed.notes
    plural = "attachments were" if left_out != 1 else "attachment was"
    notes += [f"{left_out} {plural} left out."] if left_out else []
    is_long = {name: len(str(value)) > _LONGEST_HEADER for name, value in message.raw_items()}
    long = (name for name in _HEADERS if is_long.get(name))
    notes += (f"The rest of the long header {name} was left out." for name in long)
    return Parsed(dict(headers).get("Subject", ""), tuple(blocks), tuple(dict.fromkeys(notes)))


def _header(message: Message, name: str) -> str:
    try:
        return collapsed(str(message.get(name) or ""))
    except (MessageError, ValueError, LookupError, IndexError, AttributeError, TypeError):
        return ""  # The parser of the standard library raises these for broken headers.


def _texts(message: Message) -> tuple[list[Message], int]:
    """The parts that are the text of a message, and how many others there are."""
    parts = [part for part in islice(message.walk(), _MOST_PARTS) if not part.is_multipart()]
    shown = [part for part in parts if _is_text(part)]
    plain = [part for part in shown if part.get_content_type() == "text/plain"]
    texts = plain or [part for part in shown if part.get_content_type() == "text/html"]
    return texts, sum(part not in shown for part in parts)


def _is_text(part: Message) -> bool:
    named = part.get_filename() is not None or part.get_content_disposition() == "attachment"
    return not named and part.get_content_type() in ("text/plain", "text/html")


def _part(part: Message) -> Parsed:
    payload = part.get_payload(decode=True)
    body, charset = payload if isinstance(payload, bytes) else b"", part.get_content_charset()
    read = parse_html if part.get_content_type() == "text/html" else parse_text
    parsed = read(decoded(body, charset))
    return replace(parsed, notes=(*decoding_notes(body, charset), *parsed.notes))

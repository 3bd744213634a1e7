"""What a parser found in a document, on its way into the library.

Rule: an id is a function of the bytes, so that the same document has the same id everywhere.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from actors.library.documents import Document
from actors.library.passages import Cut

_DOCUMENTS = uuid.UUID("0b5a4c5e-6a3f-5d1e-9d57-2f3a1f0c7e11")


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a parser gives back for one document."""

    title: str
    text: str
    cuts: tuple[Cut, ...]
    notes: tuple[str, ...] = ()
    """Sentences: what was left out or could not be read."""
    language: str = ""
    """The primary BCP 47 subtag, where the document declares one."""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document with all that goes into the library; `vectors` one for each cut, or none at all."""

    document: Document
    text: str
    cuts: tuple[Cut, ...]
    vectors: tuple[bytes, ...] = ()


def parsed_document(
    parsed: ParsedText, media_type: str, size: int, sha256: str, now: datetime
) -> ParsedDocument:
    """A parsed document of `size` bytes, as it is added `now`."""
    document = Document(
        document_id=str(uuid.uuid5(_DOCUMENTS, sha256)),
        title=parsed.title,
        media_type=media_type,
        bytes=size,
        sha256=sha256,
        passages=len(parsed.cuts),
        created_at=_timestamp(now),
    )
    return ParsedDocument(document, parsed.text, parsed.cuts)


def _timestamp(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").replace("+00:00", "Z")

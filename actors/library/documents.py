"""Documents as the library answers with them, and as they come from a parser.

Rule: the fields of a `Document` are those of the HTTP API, and its id is a function of its bytes and
its owner, so that the same document has the same id everywhere.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from actors.library.excerpts import ExcerptCut
from actors.library.parsing.blocks import titled
from actors.library.passages import PassageCut
from actors.tasks.evidence import Passage

Ranker = Literal["bm25", "encoder"]

MAX_NAME = 1_000
PARSER = 1
"""The version of the parsers. It grows when documents should be parsed again."""

_DOCUMENTS = uuid.UUID("0b5a4c5e-6a3f-5d1e-9d57-2f3a1f0c7e11")


@dataclass(frozen=True, slots=True)
class Document:
    """One document; `sample` if it belongs to the sample library.

    `notes` are sentences about what its parser left out or could not read. `name` is the end of its
    path, or its URL, by which documents of the same title are told apart. `sources` are the paths
    and URLs that it came from, and `uploaded` says that it was also added without one; only a list of
    the documents of a source has these two.
    """

    document_id: str
    title: str
    media_type: str
    bytes: int
    sha256: str
    passages: int
    created_at: str
    notes: tuple[str, ...] = ()
    sample: bool = False
    sources: tuple[str, ...] = ()
    uploaded: bool = False
    name: str = field(default="", compare=False)  # It follows the file, as a rename shows.


@dataclass(frozen=True, slots=True)
class Declared:
    """What a sender said of some bytes; None: nothing."""

    media_type: str | None = None
    charset: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """The answer to adding; `created` is false if the same bytes were there already.

    `updated`: they were there, but read by an older parser, or as another type or charset than is
    declared now, so they were parsed again. `replaced`: other bytes came from the same source before.
    """

    document: Document
    created: bool
    updated: bool = False
    replaced: bool = False


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Documents, newest first, and where the next page begins (None: this is the last)."""

    documents: tuple[Document, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Hits:
    """Passages that match, best first; `sample` if they come from the sample library.

    `rankers` names the rankers used: "bm25" (words), "encoder" (meaning), or both.
    """

    passages: tuple[Passage, ...]
    sample: bool
    rankers: tuple[Ranker, ...] = ("bm25",)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """What a parser returns for one document."""

    title: str
    text: str
    passages: Collection[PassageCut]
    excerpts: Collection[ExcerptCut]
    notes: tuple[str, ...] = ()
    language: str = ""


@dataclass(frozen=True, slots=True)
class ParsedDocument:
    """A document with its text, passages and excerpts; `owner` is None if it is shared by all."""

    document: Document
    text: str
    passages: Collection[PassageCut]
    excerpts: Collection[ExcerptCut]
    language: str = ""
    owner: str | None = None
    declared: Declared = Declared()


def parsed_document(
    parsed: ParsedText,
    media_type: str,
    size: int,
    sha256: str,
    now: datetime,
    owner: str | None = None,
    name: str = "",
) -> ParsedDocument:
    """A parsed document of `size` bytes, created `now`."""
    created_at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document = Document(
        document_id=str(uuid.uuid5(_DOCUMENTS, f"{sha256} {owner}" if owner else sha256)),
        title=parsed.title,
        media_type=media_type,
        bytes=size,
        sha256=sha256,
        passages=len(parsed.passages),
        created_at=created_at,
        notes=parsed.notes,
        name=name,
    )
    return ParsedDocument(
        document, parsed.text, parsed.passages, parsed.excerpts, parsed.language, owner
    )


def name_of(file_name: str | None, source: str | None) -> str:
    """What a document is called beside its title: its URL, the end of its path, or its file name.

    A path is cut to its folder and file, since others see it whom the rest does not concern.
    """
    if source and "://" not in source:
        source = "/".join(re.split(r"[/\\]+", source)[-2:])
    return titled(source or file_name or "")[:MAX_NAME]

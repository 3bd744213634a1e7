"""What the library says of its documents.

Rule: the fields of a `Document` are those of the HTTP API, in name and form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from actors.tasks.evidence import Passage

Ranker = Literal["bm25", "vectors"]


@dataclass(frozen=True, slots=True)
class Document:
    """One document; `sample` if it belongs to the sample library."""

    document_id: str
    title: str
    media_type: str
    bytes: int
    sha256: str
    passages: int
    created_at: str
    sample: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    """The answer to adding; `created` is false if the same bytes were there already."""

    document: Document
    created: bool


@dataclass(frozen=True, slots=True)
class DocumentPage:
    """Documents, newest first, and where the next page begins (None: this is the last)."""

    documents: tuple[Document, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Hits:
    """Passages that match, best first; `sample` if they come from the sample library.

    `rankers` says what was searched by: "bm25" (words), "vectors" (meaning), or both.
    """

    passages: tuple[Passage, ...]
    sample: bool
    rankers: tuple[Ranker, ...] = ("bm25",)

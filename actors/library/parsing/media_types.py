"""The one table of media types that the library reads, and which of them some bytes are.

Rule: the sender's media type counts. The file name and the first bytes decide only if it gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePath
from typing import Final, Literal

from actors.errors import UnsupportedMediaType

MediaType = Literal["text/plain", "text/markdown", "text/html", "application/pdf"]


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One kind of document: its media type, other names of that type, and endings of file names.

    Files with `upload_suffixes` are read when they are uploaded; `ingest` does not look for them.
    """

    media_type: MediaType
    synonyms: tuple[str, ...]
    suffixes: tuple[str, ...]
    upload_suffixes: tuple[str, ...] = ()


KINDS: Final = (
    DocumentKind("text/plain", (), (".txt", ".text"), (".log", ".rst")),
    DocumentKind("text/markdown", ("text/x-markdown",), (".md", ".markdown")),
    DocumentKind("text/html", ("application/xhtml+xml",), (".html", ".htm", ".xhtml")),
    DocumentKind("application/pdf", ("application/x-pdf",), (".pdf",)),
)
"""Every kind of document that the library reads, for the server, the command and /openapi.json."""

SUFFIXES: Final = {suffix: kind.media_type for kind in KINDS for suffix in kind.suffixes}
"""The media type of each ending that `ingest` looks for."""

_BY_SUFFIX: Final = SUFFIXES | {
    suffix: kind.media_type for kind in KINDS for suffix in kind.upload_suffixes
}
_BY_NAME: Final = {
    name: kind.media_type for kind in KINDS for name in (kind.media_type, *kind.synonyms)
}
_UNSPECIFIC = frozenset(
    {
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
    }
)
"""Types that clients send for bytes whose type they do not know."""

_FOREIGN: Final = (
    (b"PK\x03\x04", "an Office document, an e-book or a zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
)
_READABLE = "The library reads text, Markdown, HTML and PDF."
_SNIFFED = 1024


def media_type_of(body: bytes, said: str | None, file_name: str | None) -> MediaType:
    """The media type of a document; raises `UnsupportedMediaType` for one that is not read."""
    base = _base_type(said or "")
    if base in _BY_NAME:
        return _BY_NAME[base]
    if base not in _UNSPECIFIC and not base.startswith("text/"):
        raise UnsupportedMediaType(f"{_READABLE} Convert this {base} to one of them.")
    suffix = PurePath(file_name or "").suffix.lower()
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    return _sniffed(body, is_named=bool(suffix))


def media_type_of_file(path: Path) -> MediaType | None:
    """The media type of a file by its name, or None if `ingest` does not read such files."""
    return SUFFIXES.get(path.suffix.lower())


def _base_type(said: str) -> str:
    """A Content-Type without its parameters."""
    return said.partition(";")[0].strip().lower()


def charset_of(said: str | None) -> str | None:
    """The charset that a Content-Type names."""
    message = Message()
    message["Content-Type"] = said or ""
    return message.get_content_charset()


def _sniffed(body: bytes, *, is_named: bool) -> MediaType:
    """The type by the first bytes. `decoded` refuses binary bytes of an unknown type."""
    head = body[:_SNIFFED]
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise UnsupportedMediaType(f"{_READABLE} This is {what}: save it as PDF or HTML first.")
    if b"%PDF-" in head:
        return "application/pdf"
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begins.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if begins.startswith(b"# ") and not is_named:  # In file.py it would be a comment.
        return "text/markdown"
    return "text/plain"

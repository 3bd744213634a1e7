"""Which of the four kinds of document some bytes are.

Rule: what the sender says counts; the name and the first bytes are asked only when it says nothing.
"""

from __future__ import annotations

from email.message import Message
from pathlib import PurePath
from typing import Final, Literal

from actors.errors import UnsupportedMediaType

MediaType = Literal["text/plain", "text/markdown", "text/html", "application/pdf"]

_SAID: Final[dict[str, MediaType]] = {
    "text/plain": "text/plain",
    "text/markdown": "text/markdown",
    "text/x-markdown": "text/markdown",
    "text/html": "text/html",
    "application/xhtml+xml": "text/html",
    "application/pdf": "application/pdf",
    "application/x-pdf": "application/pdf",
}
_SAYS_NOTHING = frozenset(
    {
        "",
        "application/octet-stream",
        "binary/octet-stream",
        "application/x-www-form-urlencoded",
    }
)
_NAMED: Final[dict[str, MediaType]] = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".log": "text/plain",
    ".rst": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
}
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
    """The media type of a document; raises `UnsupportedMediaType` if it is none that is read."""
    base = base_type(said or "")
    if base in _SAID:
        return _SAID[base]
    if base not in _SAYS_NOTHING and not base.startswith("text/"):
        raise UnsupportedMediaType(f"{_READABLE} Convert this {base} to one of them.")
    suffix = PurePath(file_name or "").suffix.lower()
    if suffix in _NAMED:
        return _NAMED[suffix]
    return _sniffed(body, is_named=bool(suffix))


def base_type(said: str) -> str:
    """A Content-Type without its parameters."""
    return said.partition(";")[0].strip().lower()


def charset_of(said: str | None) -> str | None:
    """The charset a Content-Type names."""
    message = Message()
    message["Content-Type"] = said or ""
    return message.get_content_charset()


def _sniffed(body: bytes, *, is_named: bool) -> MediaType:
    """The type by the first bytes. Binary ones that nobody knows are for `decoded` to refuse."""
    head = body[:_SNIFFED]
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise UnsupportedMediaType(f"{_READABLE} This is {what}: save it as PDF or HTML first.")
    if b"%PDF-" in head:
        return "application/pdf"
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begins.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if begins.startswith(b"# ") and not is_named:  # In a file.py it would be a comment.
        return "text/markdown"
    return "text/plain"

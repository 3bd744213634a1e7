"""From bytes to text, in whatever encoding they were written.

Rule: a byte order mark beats what the sender says, which beats what the document says, which beats
guessing; who claims an encoding that does not fit is not believed.
"""

from __future__ import annotations

import codecs
import re

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import storable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_META_WITHIN = 4096
_AS_ON_THE_WEB = {"ascii": "cp1252", "iso8859-1": "cp1252"}
"""Pages that claim these are read by every browser as windows-1252, their superset."""

_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_FEW_BROKEN = 4
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_MOST_CONTROL = 0.03


def decoded(body: bytes, charset: str | None) -> str:
    """The text of a document without NULs; raises `UnreadableDocument` for binary data."""
    text = _decoded(body, charset)
    if len(_CONTROL.findall(text)) > _MOST_CONTROL * len(text):
        raise UnreadableDocument(
            "These bytes are not text. If it is a PDF, send it as application/pdf; "
            "convert other files to text, Markdown, HTML or PDF first."
        )
    return storable(text)


def meta_charset(body: bytes) -> str | None:
    """The charset an HTML page declares in its own head."""
    found = _META.search(body[:_META_WITHIN])
    return found[1].decode("ascii") if found else None


def _decoded(body: bytes, charset: str | None) -> str:
    for bom, encoding in _BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(encoding, errors="replace")
    for claimed in (charset, "utf-8"):
        if (text := _strictly(body, claimed)) is not None:
            return text
    text = body.decode("utf-8", errors="replace")
    if text.count("\ufffd") * _FEW_BROKEN <= len(_BEYOND_ASCII.findall(text)):
        return text  # UTF-8 with an accident: reading it as anything else would break all letters.
    return body.decode("cp1252", errors="replace")


def _strictly(body: bytes, encoding: str | None) -> str | None:
    try:
        name = codecs.lookup(encoding or "").name
        return body.decode(_AS_ON_THE_WEB.get(name, name))
    except (LookupError, UnicodeError, ValueError):
        return None

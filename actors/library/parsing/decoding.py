"""From bytes to text, in the encoding in which they were written.

Rule: as browsers do. A byte order mark counts before what the sender declares, that before what the
document declares, that before UTF-8; a declared encoding that does not fit is not believed. Then
statistics decide, and text about which they are in doubt is refused, never stored as other text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import webencodings

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import storable

if TYPE_CHECKING:
    from charset_normalizer import CharsetMatch

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = (
    re.compile(rb"^\s*<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]+)"),
    re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE),
    re.compile(rb"^\s*@charset \"([A-Za-z0-9_.:-]+)\""),
    re.compile(rb"^(?:#!.*\n)?\s*(?:#|//|/\*|;).{0,40}?coding[:=]\s*([A-Za-z0-9_.-]+)"),
)
_DECLARED_WITHIN = 4096
_WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}
_WIDER |= {"big5": "big5hkscs"}
"""Encodings that browsers read as their supersets, by the names of Python."""

_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_MOST_CONTROL = 0.03
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_FEW_BROKEN = 4
_SAMPLE = 64 * 1024
_UNICODE_SAMPLE = 4096
_DOUBTFUL = (
    "The encoding of this text is not clear. Send a charset, for example "
    "Content-Type: text/plain; charset=windows-1252, or save the text as UTF-8."
)


def decoded(body: bytes, charset: str | None) -> str:
    """The text of a document without NULs.

    Raises `UnreadableDocument` for binary data and for text whose encoding is in doubt.
    """
    text = _decoded(body, charset)
    if len(_CONTROL.findall(text)) > _MOST_CONTROL * len(text):
        raise UnreadableDocument(
            "These bytes are not text. If it is a PDF, send it as application/pdf; "
            "convert other files to text, Markdown, HTML or PDF first."
        )
    return storable(text)


def decoding_notes(body: bytes, charset: str | None) -> tuple[str, ...]:
    """Why a text was not read in the charset that its sender or the text itself declares."""
    label = charset or declared_charset(body)
    if not label or any(body.startswith(bom) for bom, _ in _BOMS):
        return ()
    if _codec(label) is None:
        why = f'The charset "{label}" is not known'
    elif _strictly(body, label) is None:
        why = f'This text is not valid in its charset "{label}"'
    else:
        return ()
    return (f"{why}, so it was read in the one that its bytes show.",)


def declared_charset(body: bytes) -> str | None:
    """The charset that a document declares in its own head: in HTML, XML, CSS or a comment."""
    for pattern in _DECLARED:
        if found := pattern.search(body[:_DECLARED_WITHIN]):
            return found[1].decode("ascii")
    return None


def _decoded(body: bytes, charset: str | None) -> str:
    for bom, encoding in _BOMS:
        if body.startswith(bom):
            return body[len(bom) :].decode(encoding, errors="replace")
    declared = [charset, declared_charset(body), "iso-2022-jp" if b"\x1b$" in body else None]
    for label in declared:
        if label and (text := _strictly(body, label)) is not None:
            return text
    if b"\0" in body[:_UNICODE_SAMPLE] and (wide := _utf_16(body, _has_zeros)) is not None:
        return wide
    if (text := _strictly(body, "utf-8")) is not None:
        return text
    text = body.decode("utf-8", errors="replace")
    if text.count("\ufffd") * _FEW_BROKEN <= len(_BEYOND_ASCII.findall(text)):
        return text  # UTF-8 with an accident: reading it as anything else would break all letters.
    if (wide := _utf_16(body, _has_sentences)) is not None:
        return wide
    return _guessed(body) if not _is_binary(body) else text


def _is_binary(body: bytes) -> bool:
    """Whether there are more control characters than in text of any encoding but UTF-16."""
    return len(body) - len(body.translate(None, _CONTROL_BYTES)) > _MOST_CONTROL * len(body)


_CONTROL_BYTES = bytes([*range(8), *range(14, 27), *range(28, 32)])


def _strictly(body: bytes, label: str) -> str | None:
    """The text by a label of the web, or by a name that only Python knows (cp437)."""
    if (name := _codec(label)) is None:
        return None
    try:
        text = body.decode(_WIDER.get(name, name))
    except (LookupError, UnicodeError, ValueError):
        return None
    return (
        text if name not in ("utf-16-le", "utf-16-be") or not _CONTROL.search(text[:200]) else None
    )


def _codec(label: str) -> str | None:
    """What Python calls an encoding of text; None if it is not known."""
    known = webencodings.lookup(label)
    try:
        return known.codec_info.name if known else codecs.lookup(label).name
    except (LookupError, ValueError):
        return None


def _utf_16(body: bytes, fits: Callable[[bytes, str], bool]) -> str | None:
    """The text, if it is UTF-16 without a mark."""
    head = body[: min(_UNICODE_SAMPLE, len(body) // 2 * 2)]
    for encoding in ("utf-16-le", "utf-16-be"):
        if fits(head, encoding):
            return body.decode(encoding, errors="replace")
    return None


def _has_zeros(head: bytes, encoding: str) -> bool:
    """Whether every other byte is that of ASCII letters, blanks and line ends: 0."""
    zeros, others = head[1::2].count(0), head[::2].count(0)
    if encoding == "utf-16-be":
        zeros, others = others, zeros
    return zeros > 4 * others and zeros * 40 > len(head)


def _has_sentences(head: bytes, encoding: str) -> bool:
    """Whether it is a text of Chinese, Japanese or Korean with its punctuation."""
    text = head.decode(encoding, errors="replace")
    is_text = len(_EAST_ASIAN.findall(text)) > 0.7 * len(text)
    return is_text and len(_EAST_ASIAN_STOPS.findall(text)) > 0.01 * len(text)


_EAST_ASIAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
_EAST_ASIAN_STOPS = re.compile("[。、，．\n ]")


def _guessed(body: bytes) -> str:
    """The text by statistics; raises `UnreadableDocument` if they are in doubt."""
    from charset_normalizer import from_bytes

    if (western := _western(body)) is not None:
        return western
    sample = body[:_SAMPLE]
    matches = from_bytes(sample, threshold=0.3, enable_fallback=False)
    if (best := matches.best()) is None or not _is_sure(best, [*matches]):
        raise UnreadableDocument(_DOUBTFUL)
    if (text := _strictly(body, best.encoding)) is None:
        raise UnreadableDocument(_DOUBTFUL)
    return text


def _western(body: bytes) -> str | None:
    """Text of Latin letters with accents, the usual case, as windows-1252."""
    try:
        text = body.decode("cp1252")
    except UnicodeError:
        return None
    beyond = _BEYOND_ASCII.findall(text)
    usual = sum(letter in _WESTERN for letter in beyond)
    is_usual = usual >= 0.95 * len(beyond) and len(_NO_WORD.findall(text)) * 50 < len(beyond)
    return text if is_usual else None


_WESTERN = frozenset(
    "äöüÄÖÜßàâçéèêëîïôûùœÀÉÈÊáíóúñÁÍÓÚÑ¿¡åæøÅÆØãõìòêÇ“”„‚‘’«»‹›–—…•€£°§²·³ \u00a0©®™½¼¾×"
)
_NO_WORD = re.compile(
    "[^\\W\\d_][¿¡²³°§£€½¼¾®©™×•][^\\W\\d_]|[a-zäöüß][A-ZÄÖÜÀÉÈÊÁÍÓÚÑÅÆØÇ]|[^\\W\\d_A-Za-z]{3}"
)
"""Letters that stand together as in no word: the text is in another encoding."""


_EAST_ASIAN_CODECS = "cp932 shift_jis euc_jp euc_jis_2004 gb18030 gbk big5 cp950 cp949 euc_kr"


def _is_sure(best: CharsetMatch, matches: list[CharsetMatch]) -> bool:
    """Whether the best reading is clean and coherent, and each other one is clearly worse."""
    least = 0.0 if best.encoding in _EAST_ASIAN_CODECS.split() else 0.2
    if best.chaos > 0.1 or best.coherence < least or len(_BEYOND_ASCII.findall(str(best))) < 8:
        return False
    others = (match for match in matches if str(match) != str(best))
    return all(
        match.chaos > best.chaos + 0.05 or match.coherence < best.coherence - 0.1
        for match in others
    )

"""Documents that are archives: docx, odt and epub, by way of HTML.

Rule: an archive is measured before it is unpacked, and nothing of it is written to disk.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html import escape
from urllib.parse import unquote
from xml.etree import ElementTree

from actors.errors import ActorError, UnreadableDocument
from actors.library.parsing.blocks import Outline, Parsed, titled
from actors.library.parsing.decoding import decoded
from actors.library.parsing.formats.html import parse_html

_MOST_FILES = 10_000
_MOST_BYTES = 256 * 1024 * 1024
_LEAST_TEXT, _MOST_TEXT = 4 * 1024 * 1024, 64 * 1024 * 1024
_MOST_TIMES = 50
"""How much larger text may be than its archive: limits of time count the bytes of the archive."""
_DC = "{http://purl.org/dc/elements/1.1/}"
_OPF = "{http://www.idpf.org/2007/opf}"
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_MOST_SPACES = 80
_TOO_MUCH = "This document holds too much text for its size. Send it in smaller parts."
_PLAIN = {
    _TEXT + "list-item": "li",
    _TEXT + "list-header": "li",
    _TABLE + "table": "table",
    _TABLE + "table-header-rows": "thead",
    _TABLE + "table-row": "tr",
    _TEXT + "table-of-content": "nav",
    _DRAW + "text-box": "aside",
}
_LEFT_OUT = frozenset(
    {
        _TEXT + "tracked-changes",
        _TEXT + "sequence-decls",
        _TEXT + "note-citation",
        _OFFICE + "annotation",
        _OFFICE + "forms",
        _TEXT + "table-of-content-source",
        _TABLE + "covered-table-cell",
    }
)


def parse_docx(body: bytes) -> Parsed:
    """A Word document; its title is its title line or first heading, else that of its metadata."""
    import mammoth

    with _archive(body) as archive:
        if sum(file.file_size for file in _texts(archive)) > _most_text(archive):
            raise UnreadableDocument(_TOO_MUCH)
        images: list[str] = []

        def left_out(image: object) -> dict[str, str]:
            images.append("")
            return {}

        shown = mammoth.images.img_element(left_out)
        made = mammoth.convert_to_html(io.BytesIO(body), convert_image=shown, style_map=_STYLES)
        parsed = parse_html(f"<body>{made.value}</body>")
        title = parsed.title or _metadata(archive, "docProps/core.xml", "title")
        language = _metadata(archive, "docProps/core.xml", "language")[:2].lower()
    plural = "images were" if len(images) != 1 else "image was"
    notes = (*parsed.notes, f"{len(images)} {plural} left out.") if images else parsed.notes
    return replace(parsed, title=title, notes=notes, language=language)


def parse_odt(body: bytes) -> Parsed:
    """An OpenDocument text; its title is its first heading, else that of its metadata."""
    with _archive(body) as archive:
        parsed = parse_html(_odt_html(_xml(archive, "content.xml")))
        title = parsed.title or _metadata(archive, "meta.xml", "title")
        language = _metadata(archive, "meta.xml", "language")[:2].lower()
    return replace(parsed, title=title, language=language)


def parse_epub(body: bytes) -> Parsed:
    """An e-book: its chapters in the order of reading."""
    with _archive(body) as archive:
        container = _xml(archive, "META-INF/container.xml")
        root = container.find(f".//{_CONTAINER}rootfile")
        name = root.get("full-path", "") if root is not None else ""
        package = _xml(archive, name)
        outline, notes, left = Outline(), [], _most_text(archive)
        for chapter in _spine(package, posixpath.dirname(name)):
            try:
                left -= archive.getinfo(chapter).file_size
            except KeyError:
                notes.append(f"The chapter {chapter} is missing.")
                continue
            if left < 0:
                raise UnreadableDocument(_TOO_MUCH)
            page = archive.read(chapter)
            parsed = parse_html(decoded(page, None)) if page.strip() else Parsed("", ())
            outline.extend(parsed.blocks)
            notes += parsed.notes
    title, language = (package.findtext(f".//{_DC}{tag}") or "" for tag in ("title", "language"))
    return Parsed(titled(title), tuple(outline.blocks), tuple(dict.fromkeys(notes)), language[:2])


def _spine(package: ElementTree.Element, folder: str) -> Iterator[str]:
    """The names of the chapters."""
    items = {item.get("id"): item for item in package.iter(f"{_OPF}item")}
    for reference in package.iter(f"{_OPF}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and "nav" not in (item.get("properties") or "").split():
            yield posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))


@contextmanager
def _archive(body: bytes) -> Iterator[zipfile.ZipFile]:
    """An archive that is not too large; whatever is wrong with it is `UnreadableDocument`."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            files = archive.infolist()
            if len(files) > _MOST_FILES or sum(file.file_size for file in files) > _MOST_BYTES:
                raise UnreadableDocument("This document is too large when it is unpacked.")
            if any(file.flag_bits & 1 for file in files):
                raise UnreadableDocument("This document is encrypted. Save it without a password.")
            yield archive
    except (ActorError, MemoryError, RecursionError, ModuleNotFoundError):
        raise
    except (
        Exception
    ) as error:  # Readers of archives and XML raise whatever a broken one makes them.
        raise UnreadableDocument(
            "This document is damaged. Open it in its program and save it anew."
        ) from error


def _texts(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    """The files that are read for the text of a Word document."""
    return (file for file in archive.infolist() if file.filename.endswith((".xml", ".rels")))


def _most_text(archive: zipfile.ZipFile) -> int:
    """How many bytes of text may come from an archive."""
    packed = sum(file.compress_size for file in archive.infolist())
    return min(max(_LEAST_TEXT, _MOST_TIMES * packed), _MOST_TEXT)


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _most_text(archive):
        raise UnreadableDocument(_TOO_MUCH)
    return ElementTree.fromstring(archive.read(name))


def _metadata(archive: zipfile.ZipFile, name: str, field: str) -> str:
    if name not in archive.namelist():
        return ""
    return titled(_xml(archive, name).findtext(f".//{_DC}{field}") or "")


def _odt_html(content: ElementTree.Element) -> str:
    """The body of a document as HTML."""
    writing = _OdtWriter(content)
    body = content.find(f"{_OFFICE}body")
    out: list[str] = ["<body>"]
    if body is not None:
        writing.children(body, out)
    if writing.notes:
        out += ["<section class=footnotes>", *writing.notes, "</section>"]
    return "".join(out)


class _OdtWriter:
    """What the styles of a document mean, and its notes so far."""

    def __init__(self, content: ElementTree.Element) -> None:
        self.notes: list[str] = []
        self._raised: dict[str | None, str] = {}
        for style in content.iter(_STYLE + "style"):
            for properties in style.iter(_STYLE + "text-properties"):
                position = properties.get(_STYLE + "text-position", "")
                if position.startswith(("super", "sub")):
                    self._raised[style.get(_STYLE + "name")] = position[:3]
        self._numbered = {
            style.get(_STYLE + "name")
            for style in content.iter(_TEXT + "list-style")
            if len(style) and style[0].tag == _TEXT + "list-level-style-number"
        }

    def children(self, parent: ElementTree.Element, out: list[str], head: bool = False) -> None:
        out.append(escape(parent.text or ""))
        for child in parent:
            self._element(child, out, head or parent.tag == _TABLE + "table-header-rows")
            out.append(escape(child.tail or ""))

    def _element(self, node: ElementTree.Element, out: list[str], head: bool) -> None:
        if node.tag in _LEFT_OUT:
            return
        if node.tag == _TEXT + "note":
            self._note(node)
        elif node.tag in (_TEXT + "s", _TEXT + "tab", _TEXT + "line-break"):
            count = node.get(_TEXT + "c", "1")
            spaces = min(int(count), _MOST_SPACES) if count.isdecimal() else 1
            out.append("<br>" if node.tag == _TEXT + "line-break" else " " * spaces)
        else:
            tag, attributes = self._tag(node, head)
            out.append(f"<{tag}{attributes}>" if tag else "")
            self.children(node, out, head)
            out.append(f"</{tag}>" if tag else "")

    def _tag(self, node: ElementTree.Element, head: bool) -> tuple[str, str]:
        """The HTML element that an element is, or "" for none."""
        match node.tag:
            case tag if tag in _PLAIN:
                return _PLAIN[tag], ""
            case tag if tag == _TEXT + "p":
                is_title = node.get(_TEXT + "style-name") == "Title"
                return ("h1" if is_title else "p"), ""
            case tag if tag == _TEXT + "h":
                level = node.get(_TEXT + "outline-level", "1")
                return f"h{min(int(level), 6) if level.isdecimal() and level != '0' else 1}", ""
            case tag if tag == _TEXT + "list":
                is_numbered = node.get(_TEXT + "style-name") in self._numbered
                return ("ol" if is_numbered else "ul"), ""
            case tag if tag == _TEXT + "span":
                return self._raised.get(node.get(_TEXT + "style-name"), ""), ""
            case tag if tag == _TABLE + "table-cell":
                columns = node.get(_TABLE + "number-columns-spanned", "1")
                rows = node.get(_TABLE + "number-rows-spanned", "1")
                spans = f' colspan="{escape(columns)}" rowspan="{escape(rows)}"'
                return ("th" if head else "td"), spans
            case _:
                return "", ""

    def _note(self, node: ElementTree.Element) -> None:
        body = node.find(_TEXT + "note-body")
        if body is not None:
            out: list[str] = []
            self.children(body, out)
            self.notes.append("".join(out))

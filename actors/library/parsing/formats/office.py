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
from urllib.parse import unquote
from xml.etree import ElementTree

from actors.errors import ActorError, UnreadableDocument
from actors.library.parsing.blocks import Outline, Parsed, titled
from actors.library.parsing.decoding import decoded
from actors.library.parsing.formats.html import parse_html
from actors.library.parsing.formats.odt import odt_html

_MOST_FILES = 10_000
_MOST_BYTES = 256 * 1024 * 1024
_MOST_TEXT = 64 * 1024 * 1024
_DC = "{http://purl.org/dc/elements/1.1/}"
_OPF = "{http://www.idpf.org/2007/opf}"
_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh"


def parse_docx(body: bytes) -> Parsed:
    """A Word document; its title is its title line or first heading, else that of its metadata."""
    import mammoth

    with _archive(body) as archive:
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
        parsed = parse_html(odt_html(_xml(archive, "content.xml")))
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
        outline, notes, left = Outline(), [], _MOST_TEXT
        for chapter in _spine(package, posixpath.dirname(name)):
            try:
                page = archive.read(chapter)
            except KeyError:
                notes.append(f"The chapter {chapter} is missing.")
                continue
            left -= len(page)
            if left < 0:
                raise UnreadableDocument("This book holds too much text. Send it in smaller parts.")
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


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _MOST_TEXT:
        raise UnreadableDocument("This document holds too much text. Send it in smaller parts.")
    return ElementTree.fromstring(archive.read(name))


def _metadata(archive: zipfile.ZipFile, name: str, field: str) -> str:
    if name not in archive.namelist():
        return ""
    return titled(_xml(archive, name).findtext(f".//{_DC}{field}") or "")

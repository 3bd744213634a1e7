"""The one table of media types that the library reads, and which of them some bytes are.

Rule: the sender's media type counts. The file name and the first bytes decide only if it gives none.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from pathlib import Path, PurePath
from typing import Final

from actors.errors import UnsupportedMediaType

MediaType = str


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One kind of document: its media type, other names of that type, and endings of file names.

    `parser` is a function in `actors.library.parsing.formats`, which takes text, or bytes if
    `is_binary`.
    """

    media_type: MediaType
    parser: str
    synonyms: tuple[str, ...]
    suffixes: tuple[str, ...]
    is_binary: bool = False
    extra: str | None = None


_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_ODT = "application/vnd.oasis.opendocument.text"
SOURCE_CODE: Final = "text/x-source-code"
_CODE_NAMES = """text/x-python application/javascript text/javascript application/typescript
    text/x-java text/x-csrc text/x-c text/x-c++ text/x-rust text/x-go text/x-ruby text/x-sh
    application/x-sh text/css text/x-sql application/sql text/x-shellscript text/x-script.python"""
_CODE_SUFFIXES = """.py .pyi .js .mjs .cjs .ts .tsx .jsx .java .kt .kts .c .h .cc .cpp .cxx .hpp .cs
    .go .rs .rb .php .pl .pm .lua .r .jl .swift .scala .sh .bash .zsh .fish .ps1 .sql .css .scss
    .hs .ex .exs .erl .clj .ml .vim .el .dart .groovy .gradle .proto .tf .nix .zig"""

_TEXT_SUFFIXES = """.txt .text .log .conf .cfg .ini .properties .tex .adoc .asciidoc .srt .vtt .xml
    .textile .wiki .mediawiki .nfo .diff .patch"""

KINDS: Final = (
    DocumentKind("text/plain", "plain_text.parse_text", (), (*_TEXT_SUFFIXES.split(),)),
    DocumentKind(
        "text/markdown", "markdown.parse_markdown", ("text/x-markdown",), (".md", ".markdown")
    ),
    DocumentKind(
        "text/html", "html.parse_html", ("application/xhtml+xml",), (".html", ".htm", ".xhtml")
    ),
    DocumentKind(
        "application/pdf", "pdf.parse_pdf", ("application/x-pdf",), (".pdf",), is_binary=True
    ),
    DocumentKind("text/csv", "structured.parse_csv", ("application/csv",), (".csv",)),
    DocumentKind("text/tab-separated-values", "structured.parse_tsv", ("text/tsv",), (".tsv",)),
    DocumentKind("application/json", "structured.parse_json", ("text/json",), (".json",)),
    DocumentKind(
        "application/x-ndjson",
        "structured.parse_json_lines",
        ("application/jsonl", "application/x-jsonlines", "application/jsonlines"),
        (".jsonl", ".ndjson"),
    ),
    DocumentKind(
        "application/yaml",
        "structured.parse_yaml",
        ("application/x-yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml"),
        (".yaml", ".yml"),
    ),
    DocumentKind("application/toml", "structured.parse_toml", ("text/x-toml",), (".toml",)),
    DocumentKind("application/x-ipynb+json", "notebook.parse_notebook", (), (".ipynb",)),
    DocumentKind("text/x-rst", "rst.parse_rst", ("text/prs.fallenstein.rst",), (".rst", ".rest")),
    DocumentKind("text/x-org", "org.parse_org", ("text/org",), (".org",)),
    DocumentKind(
        SOURCE_CODE, "source_code.parse_source", (*_CODE_NAMES.split(),), (*_CODE_SUFFIXES.split(),)
    ),
    DocumentKind("message/rfc822", "email.parse_email", (), (".eml",), is_binary=True),
    DocumentKind(_DOCX, "office.parse_docx", (), (".docx",), is_binary=True, extra="office"),
    DocumentKind(_ODT, "office.parse_odt", (), (".odt",), is_binary=True),
    DocumentKind("application/epub+zip", "office.parse_epub", (), (".epub",), is_binary=True),
)
"""Every kind of document that the library reads, for the server, the command and /openapi.json."""

SUFFIXES: Final = {suffix: kind.media_type for kind in KINDS for suffix in kind.suffixes}
"""The media type of each ending."""

BY_MEDIA_TYPE: Final = {kind.media_type: kind for kind in KINDS}
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
    (b"PK\x03\x04", "a zip archive or another Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"{\\rtf", "an RTF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
)
_READABLE = (
    "The library reads text, Markdown, HTML and PDF, and docx, odt, epub, ipynb, csv, tsv, json, "
    "yaml, toml, rst, org, eml and source code."
)
_SNIFFED = 1024


def media_type_of(body: bytes, said: str | None, file_name: str | None) -> MediaType:
    """The media type of a document; raises `UnsupportedMediaType` for one that is not read."""
    check_media_type(said)
    base = _base_type(said or "")
    if base in _BY_NAME:
        return _BY_NAME[base]
    suffix = PurePath(file_name or "").suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    return _sniffed(body, is_named=bool(suffix))


def check_media_type(said: str | None) -> None:
    """Raises `UnsupportedMediaType` for a type that is not read, whatever the bytes are."""
    base = _base_type(said or "")
    if base not in _BY_NAME and base not in _UNSPECIFIC and not base.startswith("text/"):
        raise UnsupportedMediaType(f"{_READABLE} Convert this {base} to one of them.")


def media_type_of_file(path: Path) -> MediaType | None:
    """The media type of a file by its name, or None if `ingest` does not read such files."""
    return SUFFIXES.get(path.suffix.lower())


def _base_type(said: str) -> str:
    """A Content-Type without its parameters."""
    return said.partition(";")[0].strip().lower()


def declared_by(said: str | None) -> tuple[MediaType | None, str | None]:
    """The media type that a Content-Type names, if it is one of the table, and its charset."""
    kind = BY_MEDIA_TYPE.get(_BY_NAME.get(_base_type(said or ""), ""))
    is_text = kind is None or not kind.is_binary
    return (kind.media_type if kind else None), (charset_of(said) if is_text else None)


def charset_of(said: str | None) -> str | None:
    """The charset that a Content-Type names."""
    message = Message()
    message["Content-Type"] = said or ""
    return message.get_content_charset()


def _sniffed(body: bytes, *, is_named: bool) -> MediaType:
    """The type by the first bytes. `decoded` refuses binary bytes of an unknown type."""
    head = body[:_SNIFFED]
    if head.startswith(b"PK\x03\x04"):
        for kind in (_DOCX, _ODT, "application/epub+zip"):
            if kind.encode() in head or (kind == _DOCX and b"word/document.xml" in body):
                return kind
    for magic, what in _FOREIGN:
        if head.startswith(magic):
            raise UnsupportedMediaType(f"{_READABLE} This is {what}: save it as PDF or HTML first.")
    if b"%PDF-" in head:
        return "application/pdf"
    begins = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if begins.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    if begins.startswith(b"<?xml") and b"<html" in begins:
        return "text/html"
    if begins.startswith(b"# ") and not is_named:  # In file.py it would be a comment.
        return "text/markdown"
    return "text/plain"

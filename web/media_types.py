"""Which files the library reads, told by how their names end.

Rule: what is not in the table is not read.
"""

from __future__ import annotations

from pathlib import Path

MEDIA_TYPES = {
    ".txt": "text/plain",
    ".text": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "application/xhtml+xml",
    ".pdf": "application/pdf",
}


def media_type(path: Path) -> str | None:
    """The media type of a file, or none if the library does not read its kind."""
    return MEDIA_TYPES.get(path.suffix.lower())

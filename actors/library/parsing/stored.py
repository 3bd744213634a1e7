"""The blocks of a document's text as libraries stored it before there were excerpts.

a line of a section's name   a heading
"- …"   an item        "| …"   a row        four blanks   code        else a paragraph
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from actors.library.parsing.blocks import Block, Kind


def stored_blocks(text: str, sections: tuple[str, ...]) -> Iterator[Block]:
    """The blocks of a stored text; `sections` are the names of its sections."""
    names = frozenset(sections)
    headings: tuple[str, ...] = ()
    for paragraph in text.split("\n\n"):
        if paragraph in names:
            headings = (paragraph,)
            continue
        for kind, lines in groupby(paragraph.split("\n"), key=_kind_of):
            if kind in ("item", "row"):
                yield from (Block(line[2:].strip(), kind, headings) for line in lines)
            else:
                cut = 4 if kind == "code" else 0
                yield Block("\n".join(line[cut:] for line in lines), kind, headings)


def _kind_of(line: str) -> Kind:
    if line.startswith("    "):
        return "code"
    if line.startswith("| "):
        return "row"
    return "item" if line.startswith("- ") else "paragraph"

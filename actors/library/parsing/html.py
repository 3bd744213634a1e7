"""HTML as blocks: what a browser would show of the page itself, without what stands around it.

Rule: the text inside a block is the page's text with whitespace collapsed, letter for letter.
Navigation, scripts, page headers and footers are dropped; text that only leads elsewhere, such as
a table of contents or an index, is kept as `links`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from actors.library.parsing.blocks import Block, Kind, Parsed, collapsed
from actors.library.parsing.html_tree import BLOCK_TAGS, HEADINGS, LISTS, Page

_LABELS = frozenset({"admonition-title", "rubric", "topic-title"})
_MOSTLY_LINKS = 0.75
_LONG_CELL = 600


def parse_html(text: str) -> Parsed:
    """A page; its title is its first h1, else its <title>, else its first heading."""
    page = Page(LexborHTMLParser(text))
    root, headers = page.root()
    reading = _Reading(page, headers)
    if root is not None:
        reading.read(root)
        reading.flush()
    titles = (page.first("h1"), page.first("head > title"), reading.first_heading)
    return Parsed(next((title for title in titles if title), ""), tuple(reading.blocks))


def parse_fragment(text: str) -> list[Block]:
    """The blocks of a piece of HTML within another document."""
    return list(parse_html(text).blocks)


@dataclass
class _Reading:
    """How far a page was read. `kind` is what the next paragraph is, `inline` its text so far."""

    page: Page
    skipped: frozenset[int]
    section: str = ""
    first_heading: str = ""
    kind: Kind = "prose"
    links: bool = False
    blocks: list[Block] = field(default_factory=list)
    inline: list[str] = field(default_factory=list)

    def read(self, parent: LexborNode) -> None:
        for node in self.page.shown(parent):
            tag = node.tag or ""
            if self.page.is_plain(node):
                self.inline.append(node.text())
            elif tag == "br":
                self.inline.append(" ")
            elif tag not in BLOCK_TAGS:
                self.read(node)
            elif node.mem_id not in self.skipped:
                self.flush()
                self._block(tag, node)
                self.flush()

    def flush(self) -> None:
        """What was read since the last block began or ended becomes a paragraph."""
        text = collapsed("".join(self.inline))
        self.inline.clear()
        if text:
            self._keep(text, self.kind)
            self.kind = "prose"

    def _block(self, tag: str, node: LexborNode) -> None:
        if tag in HEADINGS or (tag == "dt" and _in_glossary(node)):
            self.section = self.page.text(node)
            self.first_heading = self.first_heading or self.section
        elif tag == "pre":
            self._keep(self.page.listing(node), "code")
        elif tag == "dt" or _is_label(node):
            self._keep(self.page.text(node), "term")
        elif tag in LISTS and not self.links and _mostly_links(node):
            self.links = True
            self.read(node)
            self.flush()
            self.links = False
        elif tag == "table" and not self.links and not _is_layout(node):
            self._rows(node)
        elif tag == "li":
            self.kind = "list"
            self.read(node)
            self.flush()
            self.kind = "prose"
        else:
            self.read(node)

    def _rows(self, table: LexborNode) -> None:
        for row in table.css("tr"):
            cells = (self.page.text(cell) for cell in row.css("td, th"))
            self._keep(" | ".join(cells), "table")

    def _keep(self, text: str, kind: Kind) -> None:
        if text.strip(" |\n"):
            self.blocks.append(Block(self.section, text, "links" if self.links else kind))


def _mostly_links(node: LexborNode) -> bool:
    """Whether a list or table has little text outside of links."""
    linked = sum(_letters(link) for link in node.css("a[href]"))
    return linked > _MOSTLY_LINKS * _letters(node)


def _is_layout(table: LexborNode) -> bool:
    """Whether a table only places things on the page, as in the old days."""
    if any(node.mem_id != table.mem_id for node in table.css("table, h1, h2, h3, h4, pre")):
        return True
    return any(_letters(cell) > _LONG_CELL for cell in table.css("td"))


def _letters(node: LexborNode) -> int:
    """About how much text stands in a node; quick, as it counts what is left out, too."""
    return len("".join(node.text().split()))


def _in_glossary(term: LexborNode) -> bool:
    return term.parent is not None and "glossary" in (term.parent.attributes.get("class") or "")


def _is_label(node: LexborNode) -> bool:
    """Whether it is a word like "Warning" or "Footnotes" above what it labels."""
    return node.tag == "p" and (node.attributes.get("class") or "") in _LABELS

"""HTML as blocks: what a browser shows of the page itself, without what stands around it.

Rule: the text inside a block is the page's text with white space collapsed. Navigation, scripts,
page headers and footers are left out; text that only leads elsewhere, such as a table of contents
or an index, is kept as `links`. A heading in a box, item or folded part ends with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Block, Kind, Outline, Parsed, collapsed
from actors.library.parsing.formats.html_inline import BREAK, add_special, listing_of, text_of
from actors.library.parsing.formats.html_tables import is_layout, markers, table_rows
from actors.library.parsing.formats.html_tree import (
    BLOCK_TAGS,
    HEADINGS,
    LISTS,
    Page,
    classes,
    is_leading,
    letters,
    mostly_links,
)
from actors.library.parsing.formats.plain_text import parse_text

_LABEL_NAMES = "admonition-title topic-title sidebar-title markdown-alert-title title"
_BOX_NAMES = """admonition admonitionblock note warning tip important caution danger hint attention
    error seealso callout markdown-alert"""
_LABELS, _ADMONITIONS = frozenset(_LABEL_NAMES.split()), frozenset(_BOX_NAMES.split())
_LISTINGS = frozenset({"fragment", "programlisting", "screen", "code-block", "sourceCode"})
_BOXES = frozenset({"aside", "details", "li", "dd", "blockquote", "figure"})
_DEEPEST = 120
_FARTHEST = 5
"""Levels between a box and its title."""

_LABEL = 7
"""The level of what is a heading by its looks only."""

_NESTING = re.compile(
    r"<(/?)(?:div|section|article|ul|ol|dl|blockquote|span|table|font|center|details|b|i|em|strong|"
    r"form|fieldset|main|aside|figure|u|small|big|tt|code|label|button|nav|header|footer|a|svg|math|"
    r"address|dialog|dir|figcaption|hgroup|listing|menu|optgroup|pre|summary)\b",
    re.IGNORECASE,
)
_MOST_NESTING = 5_000
_TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?=[a-z])(?P<script>script\b)?[a-z]*+"
    r"(?P<attributes>(?:=\s*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))|[^>])*+)"
    r"(?(script)(?:>.*?(?:</script|\Z)|\Z))",
    re.IGNORECASE | re.DOTALL,
)
_VALUE = re.compile(r"=\s*+(?:\"[^\"]*+\"?|'[^']*+'?)")
_MOST_ATTRIBUTES = 3_000
_LEAST_SHARE, _MUCH = 0.2, 500
_ONE_LISTING = 0.8


def parse_html(text: str) -> Parsed:
    """A page; its title is its only h1, else its <title>, else its first heading.

    A page with several h1 numbers its chapters by them ("1. Overview").
    """
    _check_tags(text)
    tree = LexborHTMLParser(text)
    page = Page(tree)
    reading = _read(page)
    if page.around and _is_little(reading, page):
        page = Page(tree, by_name=False)
        reading = _read(page)
    heads = [page.first("h1"), page.first("head > title")]
    if page.count("h1") > 1:
        heads.reverse()
    titles = [text_of(page, head) for head in heads if head is not None]
    title = next((title for title in (*titles, reading.outline.first_heading) if title), "")
    return Parsed(title, reading.outline.all_blocks(), tuple(_notes(page)), page.language())


def parse_fragment(text: str) -> list[Block]:
    """The blocks of a piece of HTML within another document."""
    return list(parse_html(text).blocks)


def _check_tags(text: str) -> None:
    """Refuse what takes quadratic time to parse."""
    depth = 0
    for tag in _NESTING.finditer(text):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        if depth > _MOST_NESTING:
            raise UnreadableDocument(
                "This document is nested too deeply. Save it as plain text first."
            )
    if any(_attributes(tag["attributes"] or "") > _MOST_ATTRIBUTES for tag in _TAG.finditer(text)):
        raise UnreadableDocument(
            "A tag of this page has too many attributes. Save it as plain text first."
        )


def _attributes(written: str) -> int:
    """About how many attributes a tag has, without counting those of short ones."""
    if len(written) < _MOST_ATTRIBUTES:
        return 0
    return len(_VALUE.sub("=", written).replace("/", " ").split())


def _read(page: Page) -> _Reading:
    reading = _Reading(page)
    if (root := page.root()) is not None:
        listings = root.css("pre")
        if len(listings) == 1 and letters(listings[0]) > _ONE_LISTING * letters(root):
            parsed = parse_text(listing_of(page, listings[0]))
            reading.outline.extend(parsed.blocks)
            if parsed.title:
                reading.outline.first_heading = parsed.title
        else:
            reading.read(root)
            reading.flush()
    return reading


def _is_little(reading: _Reading, page: Page) -> bool:
    """Whether most of the page was taken for what stands around it."""
    kept = sum(len(block.text) for block in reading.outline.blocks)
    around = sum(letters(node) for node in page.around if not mostly_links(node))
    return around > _MUCH and kept < _LEAST_SHARE * around


def _notes(page: Page) -> Iterator[str]:
    for what, count in sorted(page.left_out.items()):
        plural = what.replace(" with", "s with") if " with" in what else f"{what}s"
        yield f"1 {what} was left out." if count == 1 else f"{count} {plural} were left out."


@dataclass
class _Reading:
    """How far a page was read; `inline` is the text of the next paragraph so far."""

    page: Page
    outline: Outline = field(default_factory=Outline)
    inline: list[str] = field(default_factory=list)
    linked: int = 0
    """Letters of `inline` that are links."""
    links: bool = False
    depth: int = 0
    level: int = 0
    item: tuple[str, int] | None = None
    """Marker and depth of an item whose first block comes next."""
    taken: set[int] = field(default_factory=set)
    """Nodes that are read already."""

    def read(self, parent: LexborNode) -> None:
        if self.level > _DEEPEST:
            self.inline.append(self.page.flat(parent))
            return
        self.level += 1
        for node in self.page.shown(parent):
            if self.page.is_plain(node):
                self.inline.append(node.text())
            elif node.mem_id in self.taken:
                continue
            elif node.tag in BLOCK_TAGS or node.mem_id in self.page.questions:
                self.flush()
                self._block(node.tag or "", node)
                self.flush()
            elif not add_special(self.page, node, self.inline):
                self._inline(node)
        self.level -= 1

    def _inline(self, node: LexborNode) -> None:
        start = len(self.inline)
        self.read(node)
        if node.tag == "a" and is_leading(node):
            self.linked += sum(len("".join(text.split())) for text in self.inline[start:])

    def flush(self) -> None:
        """What was read since the last block began or ended becomes paragraphs."""
        whole, linked = "".join(self.inline), self.linked
        self.inline.clear()
        self.linked = 0
        if not whole.strip():
            return
        size = len("".join(whole.split()))
        kind: Kind = "links" if linked > 0.9 * size and self.item is None else "paragraph"
        paragraph: list[str] = []
        for line in (*map(collapsed, whole.split(BREAK)), ""):
            if line:
                paragraph.append(line)
            elif paragraph:
                self._keep("\n".join(paragraph), kind)
                paragraph.clear()

    def _block(self, tag: str, node: LexborNode) -> None:
        """A block, within the box or item that it may be."""
        names = set(classes(node).split())
        if node.mem_id in self.page.labels:
            self._keep(self.page.labels[node.mem_id], "term")
        is_folded = node.mem_id in self.page.labels or node.mem_id in self.page.panels
        if tag in _BOXES or "sidebar" in names or names & _ADMONITIONS or is_folded:
            with self._box(1 if is_folded or tag in ("li", "dd") else 0):
                self._within(tag, node, names)
        else:
            self._within(tag, node, names)

    def _within(self, tag: str, node: LexborNode, names: set[str]) -> None:
        if tag in HEADINGS and self._box_of(node) & _ADMONITIONS:
            self._label(node)
        elif tag in HEADINGS:
            self.outline.heading(int(tag[1]), text_of(self.page, node))
        elif tag in ("pre", "xmp", "listing", "plaintext") or (tag == "div" and names & _LISTINGS):
            self._keep(listing_of(self.page, node), "code")
        elif "line-block" in names:
            self._keep(listing_of(self.page, node), "paragraph")
        elif tag in ("dt", "button") or (tag == "table" and "memname" in names):
            self._keep(text_of(self.page, node), "term")
        elif tag == "summary":
            self._summary(node)
        elif "rubric" in names:
            self.outline.heading(_LABEL, text_of(self.page, node))
        elif names & _LABELS and (box := self._box_of(node)):
            if "sidebar" in box:
                self.outline.heading(_LABEL, text_of(self.page, node))
            else:
                self._label(node)
        elif tag in LISTS or (tag == "table" and is_layout(node)):
            self._list(node)
        elif tag == "table":
            self._table(node)
        else:
            self.read(node)
            self.flush()

    @contextmanager
    def _box(self, deeper: int) -> Iterator[None]:
        """Headings, labels and depth that end with a node."""
        before, depth = list(self.outline.open), self.depth
        self.depth += deeper
        yield
        self.flush()
        self.item = None
        self.depth = depth
        self.outline.restore(before)

    def _list(self, node: LexborNode) -> None:
        before = self.links
        self.links = before or (mostly_links(node) and not self._is_announced())
        if node.tag not in LISTS or node.tag == "dl":
            self.read(node)
        else:
            marks = markers(node)
            for child in self.page.shown(node):
                if child.tag == "li":
                    self.flush()
                    self._item(next(marks), child)
                elif child.tag in LISTS:  # A list in a list, without an item between them.
                    with self._box(1):
                        self._list(child)
                elif child.is_text_node:
                    self.inline.append(child.text())
                else:
                    self._block(child.tag or "", child)
        self.flush()
        self.links = before

    def _item(self, marker: str, node: LexborNode) -> None:
        """An item. One that begins with a bold line is a section of its own below that line."""
        title = _bold_line(node)
        if title is None:
            self.item = (marker, self.depth)
            self._block("li", node)
            return
        with self._box(1):
            text = text_of(self.page, title)
            level = _LABEL + 1 + self.depth
            self.outline.heading(level, text if marker == "-" else f"{marker} {text}")
            self.taken.add(title.mem_id)
            self.read(node)

    def _is_announced(self) -> bool:
        """Whether the last paragraph announces what follows, so that it is more than links."""
        last = self.outline.blocks[-1:]
        return bool(last) and last[0].kind == "paragraph" and last[0].text.endswith((":", "："))

    def _table(self, node: LexborNode) -> None:
        before = self.links
        self.links = before or mostly_links(node)
        for kind, text in table_rows(self.page, node):
            self._keep(text, kind)
        self.links = before

    def _summary(self, node: LexborNode) -> None:
        """What a folded part is called; the rest of the part is one deeper."""
        if (heading := node.css_first("h1, h2, h3, h4, h5, h6")) is not None:
            self.outline.heading(int((heading.tag or "h6")[1]), text_of(self.page, node))
        else:
            self._label(node)

    def _box_of(self, node: LexborNode) -> set[str]:
        """The classes of the admonition or sidebar whose title a node is."""
        around = node.parent
        for _ in range(_FARTHEST):
            if around is None or around.tag in ("body", "main"):
                break
            if (names := set(classes(around).split())) & (_ADMONITIONS | {"sidebar"}):
                return names
            around = around.parent
        return set()

    def _label(self, node: LexborNode) -> None:
        self._keep(text_of(self.page, node), "term")
        self.depth += 1

    def _keep(self, text: str, kind: Kind) -> None:
        if not text.strip(" |\n"):
            return
        if self.links or kind == "links":
            self.outline.keep(text.replace("\n", " "), "links")
            self.item = None
        elif self.item is not None and kind in ("paragraph", "code"):
            marker, depth = self.item
            self.item = None
            self.outline.keep(text, "item" if kind == "paragraph" else kind, marker, depth)
        else:
            self.outline.keep(text, kind, depth=self.depth)


_LONGEST_TITLE, _LEAST_TEXT = 80, 80


def _bold_line(item: LexborNode) -> LexborNode | None:
    """The paragraph that an item begins with, if it is a short bold line above more text."""
    first = next((node for node in item.iter() if node.is_element_node), None)
    if (
        first is None
        or first.tag not in ("p", "div")
        or (bold := first.css_first("b, strong")) is None
    ):
        return None
    size = letters(first)
    is_title = 0 < size == letters(bold) <= _LONGEST_TITLE
    if is_title and letters(item) > size + _LEAST_TEXT and not first.text().rstrip().endswith("."):
        return first
    return None

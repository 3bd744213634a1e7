"""A parsed HTML page: which part of it is its own, and the text of its nodes.

Rule: nothing is ever taken out of the tree, only left out on the way: a node that was freed under
another one crashes the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from actors.library.parsing.blocks import collapsed, dedented

_DROPPED = """script, style, noscript, template, nav, svg, math annotation, button, select, input,
    textarea, iframe, object, canvas, dialog, [role=navigation], [role=search], [role=dialog],
    [role=alertdialog], [role=complementary], [role=contentinfo], [hidden], [aria-hidden=true], .headerlink, .anchorjs-link, .sphinxsidebar, .related, .linenos, .copybtn,
    aside .label, footer, aside:not(.footnote, .footnote-list, .topic, .admonition)"""
_NAMED = """cookie-banner cookie-bar cookie-consent cookie-notice cookie-popup cookieconsent
    cookie-law-info-bar consent-banner onetrust-consent-sdk onetrust-banner-sdk CybotCookiebotDialog
    cc-window sidebar footer site-footer page-footer breadcrumb breadcrumbs skip-link
    skip-to-content newsletter social-share share-buttons related-posts modal popup"""
_AROUND = ", ".join(f".{name}, #{name}" for name in _NAMED.split())
"""What many sites call the things that stand around a page, as class or id."""
_MAIN = ("main", "[role=main]", "article")
HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
LISTS = frozenset({"ul", "ol", "table", "dl", "menu"})
_OTHER_BLOCKS = """address article aside blockquote body caption center dd details dir div dt
    fieldset figcaption figure footer form header hgroup hr html legend li main nav p pre section
    summary tbody td tfoot th thead tr"""
BLOCK_TAGS = HEADINGS | LISTS | frozenset(_OTHER_BLOCKS.split())
_PARTING = BLOCK_TAGS | {"br"}


class Page:
    """A page and what of it is left out."""

    def __init__(self, tree: LexborHTMLParser) -> None:
        self._tree = tree
        dropped = tree.css(_DROPPED)
        dropped += [n for n in tree.css(_AROUND) if _is_around(n)]
        parting = (node for node in tree.css("*") if node.tag in _PARTING)
        self._dropped = frozenset(node.mem_id for node in dropped)
        self._parted = _with_ancestors((*dropped, *parting))

    def root(self) -> tuple[LexborNode | None, frozenset[int]]:
        """The part that is the page's own, and the headers of the site within it.

        It is <main> or the one <article>, if they hold text: their headers are the page's own.
        """
        for selector in _MAIN:
            found = self._tree.css(selector)
            if len(found) == 1 and any(map(str.strip, self._strings(found[0], gap=""))):
                return found[0], frozenset()
        return self._tree.body, frozenset(n.mem_id for n in self._tree.css("body > header"))

    def first(self, selector: str) -> str:
        found = self._tree.css_first(selector)
        return self.text(found) if found is not None and found.mem_id not in self._dropped else ""

    def shown(self, parent: LexborNode) -> Iterator[LexborNode]:
        """The texts and elements right below a node, without what is left out."""
        for node in parent.iter(include_text=True):
            if node.is_text_node or (node.is_element_node and node.mem_id not in self._dropped):
                yield node

    def is_plain(self, node: LexborNode) -> bool:
        """Whether it is a text, or an inline element with nothing but text and such elements in it.

        Asking the parser for its text at once is several times faster than walking.
        """
        return node.is_text_node or node.mem_id not in self._parted

    def text(self, node: LexborNode) -> str:
        """All text of a node on one line; blocks and breaks within it are parted by a space."""
        return collapsed("".join(self._strings(node, gap=" ")))

    def listing(self, node: LexborNode) -> str:
        """All text of a node with its own line breaks."""
        return dedented("".join(self._strings(node, gap="")))

    def _strings(self, parent: LexborNode, gap: str) -> Iterator[str]:
        for node in self.shown(parent):
            if self.is_plain(node):
                yield node.text()
            elif node.tag == "br":
                yield gap or "\n"
            elif node.tag in BLOCK_TAGS:
                yield gap
                yield from self._strings(node, gap)
                yield gap
            else:
                yield from self._strings(node, gap)


def _is_around(node: LexborNode) -> bool:
    """Whether a thing by such a name is not the page itself."""
    if node.tag not in ("div", "section", "form", "ul", "ol", "p", "a"):
        return False
    return node.css_first("h1, main, article") is None


def _with_ancestors(nodes: Iterable[LexborNode]) -> frozenset[int]:
    """The ids of the nodes and of all they stand in."""
    found: set[int] = set()
    for node in nodes:
        around: LexborNode | None = node
        while around is not None and around.mem_id not in found:
            found.add(around.mem_id)
            around = around.parent
    return frozenset(found)

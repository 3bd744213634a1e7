"""A parsed HTML page: which nodes are page furniture, decoration or dialogs, and which are panels.

Rule: a node is never removed from the tree, only left out while reading: freeing a node under
another one crashes the process. What is hidden until a click is read; what is left out and is not
furniture is counted in `left_out`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from actors.library.parsing.blocks import collapsed

_TABS = (
    "[role=tab], [data-toggle=tab], [data-toggle=pill], [data-bs-toggle=tab], [data-bs-toggle=pill]"
)
_TAB_PANELS = "[role=tabpanel], .tab-pane"
_TAB_TARGETS = ("aria-controls", "data-bs-target", "data-target", "href")

_FURNITURE = """script, style, noscript, template, nav, select, textarea, object, canvas, audio,
    video, annotation, annotation-xml, [role=navigation], [role=search], [role=contentinfo],
    [role=menu], [role=menubar], [role=toolbar], .headerlink, .anchorjs-link, .sphinxsidebar,
    .linenos, .copybtn, .copy-button, .visually-hidden-focusable, .mw-editsection, .footnote-backref,
    .footnote-back, .fn-backref, .reversefootnote, [rev=footnote]"""
_NAMED = """cookie-banner cookie-bar cookie-consent cookie-notice cookie-popup cookieconsent
    cookie-law-info-bar consent-banner onetrust-consent-sdk onetrust-banner-sdk CybotCookiebotDialog
    cc-window sidebar footer site-footer page-footer breadcrumb breadcrumbs skip-link related
    skip-to-content newsletter social-share share-buttons related-posts docnav navheader navfooter
    navbar pagination pager site-header site-nav"""
_NAMES = frozenset(_NAMED.split())
_AROUND = ", ".join(f".{name}, #{name}" for name in _NAMED.split())
"""What many sites call the things that stand around a page, as class or id."""

_BOXES = ", aside, [role=complementary]"
_COUNTED = {
    "dialog": "dialog, [role=dialog], [role=alertdialog], .modal, .popup",
    "hidden decoration": "[aria-hidden=true]",
    "embedded page": "iframe, frame",
    "drawing with text": "svg",
    "image": "img[alt]",
}
_PANEL = re.compile(r"\b(?:tab|panel|accordion|collaps|content|details)", re.IGNORECASE)
_OWN_PART = re.compile(r"\b(?:content|main|document|body|article|post|page)", re.IGNORECASE)
_TOGGLE = re.compile(r"accordion|collaps|faq|toggle|question|expand", re.IGNORECASE)
_CONTROL = re.compile(r"copy|clipboard|close|dismiss|share|menu|nav", re.IGNORECASE)
_NOT_LEADING = ("role", "data-toggle", "data-bs-toggle", "aria-expanded", "aria-controls")
_LEAST_SHARE = {"main": 0.25, "[role=main]": 0.25, "article": 0.5}

HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
LISTS = frozenset({"ul", "ol", "dl", "menu", "dir"})
_OTHER_BLOCKS = """address article aside blockquote body caption center dd details div dt
    fieldset figcaption figure footer form header hgroup hr html legend li main nav p pre section
    summary table tbody td tfoot th thead tr listing xmp plaintext"""
BLOCK_TAGS = HEADINGS | LISTS | frozenset(_OTHER_BLOCKS.split())
_SPECIAL_TAGS = "a br button img input math rp rt sub sup textarea wbr"
_PARTING = BLOCK_TAGS | frozenset(_SPECIAL_TAGS.split())
_FLOW = HEADINGS | {"p", "ul", "ol", "dl", "pre", "table", "blockquote"}
_AROUND_BUTTON = HEADINGS | {"dt", "dd", "summary", "p", "td", "th", "li", "label", "legend"}


class Page:
    """A page and what of it is left out, furniture that is known by its name if `by_name`."""

    def __init__(self, tree: LexborHTMLParser, *, by_name: bool = True) -> None:
        self._tree = tree
        self.left_out: Counter[str] = Counter()
        self.labels: dict[int, str] = {}
        """Of the panels of tabs: their tabs."""
        self.panels: set[int] = set()
        """What a button folds."""
        self.questions: set[int] = set()
        """Buttons that fold something."""
        self._named: dict[str, LexborNode] | None = None
        self.around = _around(tree) if by_name else []
        dropped = [*tree.css(_FURNITURE), *self.around]
        dropped += [n for n in tree.css("footer, body > header") if _is_frame(n)]
        dropped += [n for n in tree.css("[role=doc-backlink]") if not _closest(n, HEADINGS)]
        dropped += [n for n in tree.css(".label") if n.parent and "footnote" in classes(n.parent)]
        self._dropped = {node.mem_id for node in dropped}
        dropped += _steps(tree)
        dropped += self._counted()
        dropped += [n for n in tree.css("button") if self._is_control(n)]
        dropped += self._tabs()
        self._dropped.update(node.mem_id for node in dropped)
        parting = (node for node in tree.css("*") if node.tag in _PARTING)
        self._parted = _with_ancestors((*dropped, *parting))

    def root(self) -> LexborNode | None:
        """The part that is the page's own: <main> or the one <article>, if most text is there."""
        body = self._tree.body
        if body is None:
            return None
        whole = letters(body) - sum(letters(node) for node in self._outermost())
        for selector, share in _LEAST_SHARE.items():
            found = self._tree.css(selector)
            if len(found) == 1 and letters(found[0]) > max(0, share * whole):
                return found[0]
        return body

    def count(self, selector: str) -> int:
        """How many nodes a selector finds."""
        return len(self._tree.css(selector))

    def first(self, selector: str) -> LexborNode | None:
        found = self._tree.css_first(selector)
        return found if found is not None and found.mem_id not in self._dropped else None

    def language(self) -> str:
        """The primary subtag of the language that the page declares, or ""."""
        html = self._tree.css_first("html")
        declared = attribute(html, "lang") or attribute(html, "xml:lang") if html else ""
        found = re.match(r"[A-Za-z]{2,3}(?![A-Za-z])", declared)
        return found[0].lower() if found else ""

    def shown(self, parent: LexborNode) -> Iterator[LexborNode]:
        """The texts and elements right below a node, without what is left out."""
        for node in parent.iter(include_text=True):
            if node.is_text_node or (node.is_element_node and node.mem_id not in self._dropped):
                yield node

    def is_plain(self, node: LexborNode) -> bool:
        """Whether it is a text, or an inline element with only text and such elements in it.

        Reading the text of a whole element is several times faster than walking through it.
        """
        return node.is_text_node or node.mem_id not in self._parted

    def flat(self, node: LexborNode) -> str:
        """All text of a node that is nested too deeply to be walked through."""
        parts: list[str] = []
        for each in node.traverse(include_text=True):
            if each.is_text_node:
                parent = each.parent
                if parent is None or parent.mem_id not in self._dropped:
                    parts.append(each.text())
            elif each.tag in BLOCK_TAGS or each.tag == "br":
                parts.append(" ")
        return "".join(parts)

    def _outermost(self) -> Iterator[LexborNode]:
        """What is left out, each text once."""
        for node in self._tree.css(_FURNITURE + ", footer, body > header, " + _AROUND):
            parent = node.parent
            if node.mem_id in self._dropped and (
                parent is None or parent.mem_id not in self._dropped
            ):
                yield node

    def _counted(self) -> Iterator[LexborNode]:
        for what, selector in _COUNTED.items():
            for node in self._tree.css(selector):
                if node.mem_id in self._dropped or not _is_left_out(what, node):
                    continue
                self._dropped.add(node.mem_id)
                if _has_words(what, node) and not self._is_in_furniture(node):
                    self.left_out[what] += 1
                yield node

    def _is_in_furniture(self, node: LexborNode) -> bool:
        """Whether it is in something that is left out, or is the picture of a link."""
        around = node.parent
        for _ in range(_FARTHEST):
            if around is None or around.mem_id in self._dropped or around.tag == "a":
                return around is not None
            around = around.parent
        return False

    def _is_control(self, button: LexborNode) -> bool:
        """Whether a button only does something; notes what the others fold."""
        name = classes(button) + " " + attribute(button, "aria-label")
        text = collapsed(button.text())
        if _CONTROL.search(name) or not text or attribute(button, "role") == "tab":
            return not text or attribute(button, "role") != "tab"
        if _closest(button, _AROUND_BUTTON) is not None:
            return False
        folds = attribute(button, "aria-controls") or attribute(button, "data-bs-target")
        is_toggle = folds or button.attributes.get("aria-expanded") is not None
        if not (is_toggle or _TOGGLE.search(name) or text.endswith(("?", "？"))):
            return True
        self.questions.add(button.mem_id)
        if (panel := self._by_id(folds) or _next_element(button)) is not None:
            self.panels.add(panel.mem_id)
        return False

    def _tabs(self) -> Iterator[LexborNode]:
        """The tabs whose panels are labelled by them from now on."""
        tabs, panels = self._tree.css(_TABS), self._tree.css(_TAB_PANELS)
        by_id = {attribute(panel, "id"): panel for panel in panels}
        by_label = {attribute(panel, "aria-labelledby"): panel for panel in panels}
        for number, tab in enumerate(tabs):
            targets = (attribute(tab, name).removeprefix("#") for name in _TAB_TARGETS)
            panel = next((by_id[target] for target in targets if target in by_id), None)
            panel = panel or by_label.get(attribute(tab, "id"))
            if panel is None and len(tabs) == len(panels):
                panel = panels[number]
            if panel is not None:
                self.labels[panel.mem_id] = collapsed(tab.text())
                yield tab

    def _by_id(self, name: str) -> LexborNode | None:
        if self._named is None:
            every = reversed(self._tree.css("[id]"))
            self._named = {attribute(node, "id"): node for node in every}
        return self._named.get(name.removeprefix("#")) if name else None


def attribute(node: LexborNode, name: str) -> str:
    return node.attributes.get(name) or ""


def classes(node: LexborNode) -> str:
    return attribute(node, "class")


def letters(node: LexborNode) -> int:
    """About how much text is in a node; fast, because it counts what is left out, too."""
    return len("".join(node.text().split()))


def is_leading(link: LexborNode) -> bool:
    """Whether a link leads elsewhere: not one that folds something or holds an address."""
    href = link.attributes.get("href")
    if href is None or href.startswith(("mailto:", "tel:", "javascript:")):
        return False
    return not any(link.attributes.get(name) for name in _NOT_LEADING)


def linked(node: LexborNode) -> int:
    """How much of its text is links that lead elsewhere."""
    return sum(letters(link) for link in node.css("a[href]") if is_leading(link))


_MOSTLY = 0.75


def mostly_links(node: LexborNode) -> bool:
    return linked(node) > _MOSTLY * letters(node)


def _steps(tree: LexborHTMLParser) -> Iterator[LexborNode]:
    """Lines that lead to the next and the previous page."""
    seen: Counter[int] = Counter()
    for link in tree.css("a[rel=next], a[rel=prev], a[rel=previous], a[rel=up]"):
        line = link.parent
        if line is not None and line.tag in ("p", "div", "td", "span", "ul"):
            seen[line.mem_id] += 1
            if seen[line.mem_id] == 2 and letters(line) < _LONGEST_STEPS:
                yield line


def _around(tree: LexborHTMLParser) -> list[LexborNode]:
    surroundings = _Surroundings()
    return [node for node in tree.css(_AROUND + _BOXES) if surroundings.is_around(node)]


class _Surroundings:
    """What stands beside the nodes that are called as what stands around a page."""

    def __init__(self) -> None:
        self._beside: dict[int, tuple[int, bool]] = {}

    def is_around(self, node: LexborNode) -> bool:
        """Whether a node by such a name is not the page itself or a box in its text."""
        if node.tag not in (
            "div",
            "section",
            "form",
            "ul",
            "ol",
            "p",
            "a",
            "aside",
            "nav",
            "header",
        ):
            return False
        names = set((classes(node) + " " + attribute(node, "id")).split())
        if "footnote" in classes(node) or node.css_first("h1, main, article") is not None:
            return False
        if "sidebar" in names or not names & _NAMES:
            return not self._is_in_text(node) and not names & {"admonition", "topic"}
        return "related" not in names or node.css_first("p") is None or mostly_links(node)

    def _is_in_text(self, box: LexborNode) -> bool:
        """Whether a box is part of the text: not full of links, nor beside the page's own part."""
        if _closest(box, frozenset({"main", "article", "section", "blockquote", "li", "dd"})):
            return True
        if (parent := box.parent) is None:
            return True
        if parent.mem_id not in self._beside:
            children = [child for child in parent.iter() if "sidebar" not in classes(child)]
            names = " ".join(f"{classes(child)} {attribute(child, 'id')}" for child in children)
            flow = sum(child.tag in _FLOW for child in children)
            self._beside[parent.mem_id] = flow, _OWN_PART.search(names) is not None
        flow, is_beside = self._beside[parent.mem_id]
        return flow > 0 or (not mostly_links(box) and not is_beside)


def _is_frame(node: LexborNode) -> bool:
    """Whether a header or footer is that of the site."""
    if node.tag == "header":
        return node.css_first("h1") is None or mostly_links(node)
    if "footnote" in classes(node) or node.css_first(".footnote, [role=doc-endnotes]") is not None:
        return False
    inside = _closest(node, frozenset({"article", "section", "blockquote", "figure"}))
    return inside is None or mostly_links(node)


def _is_left_out(what: str, node: LexborNode) -> bool:
    """Hidden panels are read; only decoration is left out."""
    if what != "hidden decoration":
        return True
    role = attribute(node, "role")
    if role in ("tabpanel", "region") or _PANEL.search(classes(node)):
        return False
    return node.tag not in BLOCK_TAGS or node.css_first("p, li, td, dd, pre, h2, h3") is None


def _has_words(what: str, node: LexborNode) -> bool:
    match what:
        case "image":
            return bool(attribute(node, "alt").strip())
        case "embedded page":
            return bool(attribute(node, "src")) and attribute(node, "width") not in ("0", "1")
        case "drawing with text":
            return node.css_first("text, foreignObject") is not None
        case _:
            return any(map(str.isalnum, node.text()))


_FARTHEST, _LONGEST_STEPS = 6, 300


def _closest(node: LexborNode, tags: frozenset[str]) -> LexborNode | None:
    """The nearest element around a node with one of these tags, within a few levels."""
    around = node.parent
    for _ in range(_FARTHEST):
        if around is None or around.tag in tags:
            return around
        around = around.parent
    return None


def _next_element(button: LexborNode) -> LexborNode | None:
    """What follows a button, or the element that ends with it."""
    for node in (button, button.parent):
        after = node.next if node is not None else None
        while after is not None and not after.is_element_node:
            after = after.next
        if after is not None:
            return None if after.tag in HEADINGS | {"button"} else after
    return None


def _with_ancestors(nodes: Iterable[LexborNode]) -> frozenset[int]:
    """The ids of the nodes and of all they stand in."""
    found: set[int] = set()
    for node in nodes:
        around: LexborNode | None = node
        while around is not None and around.mem_id not in found:
            found.add(around.mem_id)
            around = around.parent
    return frozenset(found)

"""The content of an OpenDocument text as HTML: headings, paragraphs, lists, tables and notes."""

from __future__ import annotations

from html import escape
from xml.etree.ElementTree import Element

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_MOST_SPACES = 80
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


def odt_html(content: Element) -> str:
    """The body of a document as HTML."""
    writing = _Writing(content)
    body = content.find(f"{_OFFICE}body")
    out: list[str] = ["<body>"]
    if body is not None:
        writing.children(body, out)
    if writing.notes:
        out += ["<section class=footnotes>", *writing.notes, "</section>"]
    return "".join(out)


class _Writing:
    """What the styles of a document mean, and its notes so far."""

    def __init__(self, content: Element) -> None:
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

    def children(self, parent: Element, out: list[str], head: bool = False) -> None:
        out.append(escape(parent.text or ""))
        for child in parent:
            self._element(child, out, head or parent.tag == _TABLE + "table-header-rows")
            out.append(escape(child.tail or ""))

    def _element(self, node: Element, out: list[str], head: bool) -> None:
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

    def _tag(self, node: Element, head: bool) -> tuple[str, str]:
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

    def _note(self, node: Element) -> None:
        body = node.find(_TEXT + "note-body")
        if body is not None:
            out: list[str] = []
            self.children(body, out)
            self.notes.append("".join(out))

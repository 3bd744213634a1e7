"""The text of inline HTML: exponents, indices, note marks, formulas and line breaks.

Rule: a digit that is raised or lowered never joins the number before it, and the mark of a note is
not part of the sentence. A line break is `BREAK` until the text is complete.
"""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

from actors.library.parsing.blocks import collapsed, dedented
from actors.library.parsing.formats.html_tree import BLOCK_TAGS, Page, attribute, classes

BREAK = "\0"
_NOTE = re.compile(
    r"\b(?:foot|end)?note-?(?:ref|mark|call|anchor)|\bnoteref\b|\bfn-?ref|\bcitation-ref",
    re.IGNORECASE,
)
_NOTE_TARGET = re.compile(r"#.*(?:fn|note|cite|ref)", re.IGNORECASE)
_MARK = re.compile(r"[\[(]?(?:\d{1,4}|[a-z]{1,2}|[*†‡§¶#]{1,3}|note \d+)[\])]?", re.IGNORECASE)
_EXPONENT = re.compile(r"[+\-−–]?[\w.,]+")
_ORDINAL = re.compile(r"[*†‡§¶#]{1,3}|[^\W\d_]{2,}\.?|[eoaª°rdsèé]|[™®℠©°′″]+")


def add_special(page: Page, node: LexborNode, out: list[str]) -> bool:
    """Add the text of an inline element that has a meaning of its own; False if it is another."""
    match node.tag:
        case "br":
            out.append(BREAK)
        case "wbr" | "rp" | "textarea":
            pass
        case "rt":
            page.left_out["reading aid"] += 1
        case "input":
            if attribute(node, "type") == "checkbox":
                out.append("[x] " if "checked" in node.attributes else "[ ] ")
        case "img":
            if re.search(r"\b(?:math|tex|latex|emoji)", classes(node)):
                out.append(attribute(node, "alt"))
        case "sup" | "sub":
            _add_raised(page, node, out)
        case "a" if _is_note_mark(node, node):
            _end_word(out)
        case "math":
            out.append(_formula(node))
        case _:
            return False
    return True


def text_of(page: Page, node: LexborNode) -> str:
    """All text of a node on one line; blocks and breaks within it are parted by a space."""
    out: list[str] = []
    _add_all(page, node, out)
    return collapsed("".join(out).replace(BREAK, " "))


def listing_of(page: Page, node: LexborNode) -> str:
    """All text of a node with its own line breaks; an element that is a line ends one."""
    out: list[str] = []
    _add_lines(page, node, out)
    return dedented("".join(out))


def _add_all(page: Page, parent: LexborNode, out: list[str]) -> None:
    for node in page.shown(parent):
        if page.is_plain(node):
            out.append(node.text())
        elif node.tag in BLOCK_TAGS:
            out.append(" ")
            _add_all(page, node, out)
            out.append(" ")
        elif not add_special(page, node, out):
            _add_all(page, node, out)


def _add_lines(page: Page, parent: LexborNode, out: list[str]) -> None:
    for node in page.shown(parent):
        if page.is_plain(node):
            out.append(node.text())
        elif node.tag == "br":
            out.append("\n")
        elif node.tag in BLOCK_TAGS:
            _end_line(out)
            start = len(out)
            _add_lines(page, node, out)
            if len(out) > start:
                _end_line(out)
        else:
            _add_lines(page, node, out)


def _end_line(out: list[str]) -> None:
    if out and out[-1] and not out[-1].endswith("\n"):
        out.append("\n")


def _add_raised(page: Page, node: LexborNode, out: list[str]) -> None:
    """A superscript or subscript, as it is read aloud: 10^6, H2O, 1st."""
    text = text_of(page, node)
    before = "".join(out[-3:])[-1:]
    if not text:
        return
    if node.tag == "sub":
        out.append(f"_{text}" if before.isdigit() and text[0].isdigit() else text)
        return
    link = node.css_first("a[href]")
    if _is_note_mark(node, link) or (before in set(".,;:!?”\"'»") and _MARK.fullmatch(text)):
        _end_word(out)
        return
    is_base = before.isalnum() or before in (")", "]", "}")
    if not before or not is_base or _ORDINAL.fullmatch(text):
        out.append(text)
    else:
        out.append(f"^{text}" if _EXPONENT.fullmatch(text) else f"^({text.strip('()')})")


def _end_word(out: list[str]) -> None:
    """Remove the blank before the mark of a note."""
    if out:
        out[-1] = out[-1].rstrip(" \n")


def _is_note_mark(node: LexborNode, link: LexborNode | None) -> bool:
    """Whether an element is the mark of a note, which `link` (perhaps itself) leads to."""
    text = collapsed(node.text())
    if not _MARK.fullmatch(text):
        return False
    roles = f"{attribute(node, 'role')} {attribute(node, 'epub:type')}"
    if "noteref" in roles or _NOTE.search(f"{classes(node)} {attribute(node, 'id')}"):
        return True
    if link is None:
        return False
    href = attribute(link, "href")
    if _NOTE.search(classes(link)) or "noteref" in attribute(link, "role"):
        return True
    is_raised = "sup" in (node.tag, link.parent.tag if link.parent else "")
    raised = link.css_first("sup")
    raises = raised is not None and collapsed(raised.text()) == text
    return (is_raised or raises or text[0] == "[") and (
        href.startswith("#") or _NOTE_TARGET.search(href) is not None
    )


_ROWS = {"mfrac": "/", "msup": "^", "mover": "^", "msub": "_", "munder": "_", "mroot": "√"}


def _formula(node: LexborNode, depth: int = 0) -> str:
    """A MathML formula on one line."""
    if node.is_text_node or depth > 50:
        return collapsed(node.text())
    parts = [
        _formula(child, depth + 1)
        for child in node.iter(include_text=True)
        if child.is_text_node or (child.tag or "") not in ("annotation", "annotation-xml")
    ]
    parts = [part for part in parts if part]
    match node.tag:
        case "msqrt":
            return f"√({''.join(parts)})"
        case "msubsup" | "munderover" if len(parts) == 3:
            return f"{parts[0]}_{parts[1]}^{parts[2]}"
        case tag if tag in _ROWS and len(parts) == 2:
            return _ROWS[tag].join(p if len(p) == 1 or p.isalnum() else f"({p})" for p in parts)
        case _:
            return "".join(parts)

"""Markdown as blocks: CommonMark with tables, footnotes, definition lists, boxes and front matter.

Rule: marks are removed and words stay. Markdown becomes HTML, and HTML becomes blocks; a tag that
HTML does not have, such as <file name>, is text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from mdit_py_plugins.deflist import deflist_plugin
from mdit_py_plugins.footnote import footnote_plugin

from actors.library.parsing.blocks import Block, Parsed, is_sheet, titled
from actors.library.parsing.formats.html import parse_html

_FRONT_MATTER = re.compile(
    r"\A(---|\+\+\+)[^\S\n]*\n(.*?\n)??(?:\1|\.\.\.)[^\S\n]*(?:\n|\Z)", re.DOTALL
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w:-]*)")
_INLINE = """a abbr b bdi bdo big br center cite code data del dfn em font i img input ins kbd label mark
    meter p q rp rt ruby s samp small span strike strong sub summary sup tt u var wbr div details
    time"""
_BLOCK = """address article aside blockquote body caption col colgroup dd dialog dir dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html legend li link main menu
    nav ol optgroup option param pre section table tbody td tfoot th thead tr ul center picture
    source svg path math video audio button"""
_INLINE_TAGS = frozenset(_INLINE.split())
_BLOCK_TAGS = _INLINE_TAGS | frozenset(_BLOCK.split())
_SWALLOWING = ("script", "style", "iframe", "noscript", "template", "textarea", "select", "title")
"""Elements that take the rest of the text, if nothing closes them."""

_ALERT = re.compile(r"<blockquote>\s*<p>\[!([\w-]+)\][+-]?[^\S\n]*([^\n<]*)\n?")
_FENCE = re.compile(r"\s*(```+|~~~+)")
_COLONS = re.compile(r"\s*:{3,}(?:\s*\{?\.?([\w-]+)\}?)?\s*(.*)$")
_BANG = re.compile(r"(\s*)(?:!!!|\?\?\?\+?|===)\s*([\w -]*?)\s*(?:\"(.*)\")?\s*$")


def parse_markdown(text: str) -> Parsed:
    """A Markdown text; its title is that of its front matter, else its first heading."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")
    front = _FRONT_MATTER.match(text)
    matter = _front_matter(front[1], front[2] or "") if front else None
    html = _html(text[front.end() :] if front and matter is not None else text)
    parsed = parse_html(html)
    if not matter:
        return parsed
    title = titled(str(matter.pop("title", None) or "")) or parsed.title
    language = str(matter.pop("lang", None) or matter.pop("language", None) or "")
    return replace(
        parsed,
        title=title,
        blocks=(*_pairs(matter), *parsed.blocks),
        language=language.partition("-")[0].lower() if language[:2].isalpha() else "",
    )


def markdown_blocks(text: str) -> tuple[Block, ...]:
    """The blocks of a Markdown text within another document."""
    return parse_html(_html(text)).blocks


def _html(text: str) -> str:
    html: str = _parser().render("\n".join(_with_boxes(text.split("\n"))))
    return _ALERT.sub(_alert, f"<body>{html}</body>")


@cache  # Making one takes as long as reading a page.
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    parser = parser.use(footnote_plugin).use(deflist_plugin)
    parser.core.ruler.push("sheets", _keep_sheets)
    for rule in (html_inline, html_block, ordered_list_open):
        parser.add_render_rule(rule.__name__, rule)
    return parser


def _keep_sheets(state: StateCore) -> None:
    """Keep the lines of paragraphs whose lines are all "Key: value"."""
    for token in state.tokens:
        if token.type == "inline" and is_sheet(re.sub(r"[*_`]", "", token.content)):
            for child in token.children or ():
                child.type = "hardbreak" if child.type == "softbreak" else child.type


def html_inline(
    self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: Any
) -> str:
    """A tag within a paragraph; one that HTML does not have is text."""
    content = tokens[number].content
    tag = _TAG.match(content)
    return content if tag and tag[2].lower() in _INLINE_TAGS else _shown(content)


def html_block(
    self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: Any
) -> str:
    """A block of HTML; one that HTML does not have, or that would not end, is text."""
    content = tokens[number].content
    low = content.lower()
    if any(f"<{tag}" in low and f"</{tag}" not in low for tag in _SWALLOWING):
        return f"<p>{escape(content)}</p>"
    if low.lstrip().startswith(("<!", "<?")):
        return ""
    tag = _TAG.match(content.lstrip())
    is_known = tag is not None and tag[2].lower() in (*_BLOCK_TAGS, *_SWALLOWING)
    return content if is_known else f"<p>{escape(content)}</p>"


def ordered_list_open(
    self: RendererHTML, tokens: Sequence[Token], number: int, options: OptionsDict, env: Any
) -> str:
    """An ordered list that keeps how its numbers end."""
    start = tokens[number].attrGet("start")
    return f'<ol start="{1 if start is None else start}" data-end="{tokens[number].markup}">\n'


def _shown(content: str) -> str:
    return "" if content.startswith(("<!", "<?")) else escape(content)


def _alert(found: re.Match[str]) -> str:
    title = found[2].strip() or escape(found[1].replace("-", " ").title())
    label = f'<p class="admonition-title">{title}</p>'
    return f'<blockquote class="admonition">{label}<p>'


def _with_boxes(lines: Sequence[str], depth: int = 0) -> Iterator[str]:
    """The lines with boxes ("!!! note", "??? note", '=== "Tab"', ":::") as HTML around them."""
    fence, colons, at = "", 0, 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if found := _FENCE.match(line):
            fence = "" if fence and found[1].startswith(fence) else fence or found[1]
        if fence:
            yield line
        elif (box := _BANG.match(line)) and (box[2] or box[3]) and depth < 10:
            body, at = _indented(lines, at, len(box[1]) + 4)
            if not any(map(str.strip, body)):
                yield line
                continue
            inner = [f"{box[1]}{row}" for row in _with_boxes(body, depth + 1)]
            yield from _box(box[1], box[3] or box[2], inner)
        elif box := _COLONS.match(line):
            title = box[2].strip(' []{}:"') or box[1] or ""
            colons += 1 if title else -1 if colons else 0
            yield from ("", _opening("", title), "") if title else ("", "</div>", "")
        else:
            yield line
    for _ in range(colons):
        yield from ("", "</div>", "")


def _indented(lines: Sequence[str], at: int, indent: int) -> tuple[list[str], int]:
    """The lines from `at` that are blank or indented, without their indent, and where they end."""
    end = at
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" " * indent)):
        end += 1
    while end > at and not lines[end - 1].strip():
        end -= 1
    return [line[indent:] for line in lines[at:end]], end


def _box(indent: str, title: str, body: Sequence[str]) -> Iterator[str]:
    yield from ("", _opening(indent, title), "")
    yield from body
    yield from ("", f"{indent}</div>", "")


def _opening(indent: str, title: str) -> str:
    shown = title[:1].upper() + title[1:] if title.islower() else title
    label = f'<p class="admonition-title">{escape(shown)}</p>'
    return f'{indent}<div class="admonition">{label}'


def _front_matter(mark: str, text: str) -> dict[str, Any] | None:
    """The front matter as values; None if it is none."""
    from actors.library.parsing.formats.structured import toml_value, yaml_value

    try:
        value = toml_value(text) if mark == "+++" else yaml_value(text)
    except ValueError:
        return _lenient(text)
    return value if isinstance(value, dict) else ({} if value is None else None)


def _lenient(text: str) -> dict[str, Any] | None:
    """Front matter that is not YAML, such as a title with a colon, line by line."""
    pairs = re.findall(r"^([\w-]+):[^\S\n]*(.+)$", text, re.MULTILINE)
    return {key: value.strip().strip("\"'") for key, value in pairs} or None


def _pairs(matter: dict[str, Any]) -> tuple[Block, ...]:
    from actors.library.parsing.formats.structured import value_blocks

    return tuple(value_blocks(matter))

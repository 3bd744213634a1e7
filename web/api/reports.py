"""A report as Markdown whose sources are links, and as HTML that is safe to show.

Rule: the text stays as it was written; only links to its sources are added. The HTML holds no markup,
script, image or address of another kind than http, https or relative from the text.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from actors.tasks.evidence import Source
from actors.tasks.report import place

ReportType = Literal["text/markdown", "text/html"]
MARKDOWN: Final = "text/markdown"
HTML: Final = "text/html"

_SOURCES = "## Sources\n\n"
_ENTRY = re.compile(r"^(?:(\d{1,9})\. |- \[(\d{1,9})\] )(.+)$", re.MULTILINE)
_CITATION = re.compile(r"\[(\d{1,9}(?:, \d{1,9})*)\]")
_NUMBER = re.compile(r"\d+")
_SCHEME = re.compile(r"[^/?#]*:")

Links = Mapping[int, str]


def links_of(sources: Iterable[Source], root: str = "") -> Links:
    """Where to read each source that is a document of the library, by its number.

    `root` is the path of this server on its host, if a proxy serves it below one.
    """
    return {source.n: root + _link(source) for source in sources if _is_document(source)}


def _is_document(source: Source) -> bool:
    """Whether it is in the library. Replies of tools and plugins and fetched pages are not."""
    try:
        return str(uuid.UUID(source.document_id)) == source.document_id
    except ValueError:
        return False


def _link(source: Source) -> str:
    """The document's text, and the place in it as RFC 5147 writes places in text/plain."""
    span = f"#char={source.start},{source.end}" if source.end else ""
    return f"/documents/{source.document_id}/text{span}"


def as_markdown(text: str, links: Links) -> str:
    """The report, each entry of its list of sources linked."""

    def linked(entry: re.Match[str]) -> str:
        link = links.get(int(entry[1] or entry[2]))
        mark = entry[0][: entry.start(3) - entry.start()]
        return f"{mark}[{entry[3]}]({link})" if link else entry[0]

    body, heading, entries = text.rpartition(_SOURCES)
    return body + heading + _ENTRY.sub(linked, entries) if heading else text


def as_html(text: str, sources: Sequence[Source], root: str = "") -> str:
    """The report as a fragment of HTML, its citations and its list of sources linked."""
    links = links_of(sources, root)
    places = {source.n: place(source) for source in sources}
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    markdown.validateLink = _is_web_or_relative  # type: ignore[method-assign]
    # Escaped brackets, which are a quotation's own, are tokens of their own until they are joined.
    markdown.core.ruler.before(
        "text_join", "citations", lambda state: _link_citations(state, links, places)
    )
    markdown.add_render_rule("link_open", _render_link)
    html: str = markdown.render(as_markdown(text, links))
    return html


def _is_web_or_relative(url: str) -> bool:
    return url.lower().startswith(("http://", "https://")) or not _SCHEME.match(url)


def _render_link(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer")
    html: str = renderer.renderToken(tokens, index, options, env)
    return html


def _link_citations(state: StateCore, links: Links, places: Mapping[int, str]) -> None:
    """Make each number of a citation a link to its source."""
    for block in state.tokens:
        if block.type == "inline" and block.children:
            depth, children = 0, []
            for token in block.children:
                depth += token.nesting if token.type in ("link_open", "link_close") else 0
                is_plain = token.type == "text" and not depth
                children += _cited(token, links, places) if is_plain else [token]
            block.children = children


def _cited(token: Token, links: Links, places: Mapping[int, str]) -> list[Token]:
    found, at, text = [], 0, token.content
    for citation in _CITATION.finditer(text):
        for number in _NUMBER.finditer(text, citation.start(), citation.end()):
            if link := links.get(int(number[0])):
                attrs: dict[str, str | int | float] = {
                    "href": link,
                    "title": places[int(number[0])],
                }
                found += [
                    Token("text", "", 0, content=text[at : number.start()]),
                    Token("link_open", "a", 1, attrs=attrs),
                    Token("text", "", 0, content=number[0]),
                    Token("link_close", "a", -1),
                ]
                at = number.end()
    return [*found, Token("text", "", 0, content=text[at:])]

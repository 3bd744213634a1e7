"""reStructuredText as blocks, by way of the HTML that docutils makes of it.

Rule: no file is read and no raw HTML is passed on. A directive or role that docutils does not know,
such as those of Sphinx, keeps its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree, publish_from_doctree
from docutils.parsers.rst import Directive, directives, roles
from docutils.utils import SystemMessage

from actors.library.parsing.blocks import Parsed
from actors.library.parsing.formats.html import parse_html
from actors.library.parsing.formats.plain_text import parse_text

_SETTINGS: dict[str, Any] = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 5,
    "doctitle_xform": True,
    "sectsubtitle_xform": False,
    "embed_stylesheet": False,
    "stylesheet_path": "",
    "syntax_highlight": "none",
    "math_output": "LaTeX",
    "output_encoding": "unicode",
    "traceback": True,
    "warning_stream": False,
    "smart_quotes": False,
    "line_length_limit": 1_000_000,
}
_LISTINGS = frozenset({"code-block", "sourcecode", "highlight", "prompt", "literalinclude"})
_BOXES = frozenset(
    {"versionadded", "versionchanged", "deprecated", "seealso", "todo", "deprecated-removed"}
)
_INDEX = frozenset({"toctree", "index", "currentmodule", "highlight", "module", "moduleauthor"})


_LONGEST = 200_000
_MOST_MARKS = 1_000
_MARK = re.compile(r"[*`|]|_(?!\w)|://")
"""What docutils searches the rest of a paragraph for, or follows one level deeper each."""

_LINES = re.compile(r"\s*(?:[*+|-]\s|\.\.\s|\+[-=]|==+ +=|:[^:\n]+:\s)")
"""What begins a list, a table or fields, whose lines are read one by one."""


class _AnyDirective(Directive):
    """A directive that is not known: its argument is a term, its content what it says."""

    has_content = True
    optional_arguments = 100
    final_argument_whitespace = True
    option_spec = None

    def run(self) -> list[nodes.Node]:
        if self.name in _INDEX:
            return []
        text = "\n".join(self.content)
        if self.name in _LISTINGS:
            return [nodes.literal_block(text, text)]
        inner = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, inner)
        argument = " ".join(self.arguments)
        if not argument:
            return [inner]
        if self.name in _BOXES:
            return [nodes.paragraph("", f"{self.name}: {argument}"), inner]
        term = nodes.term("", argument)
        definition = nodes.definition("", *inner.children)
        return [nodes.definition_list("", nodes.definition_list_item("", term, definition))]


def _any_role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Any,
    options: Any = None,
    content: Any = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """A role that is not known: its text, without the target of a link."""
    shown = text.rpartition("<")[0].strip() if text.endswith(">") and "<" in text else text
    shown = shown.rpartition(".")[2] if shown.startswith("~") else shown.lstrip("!")
    return [nodes.literal(rawtext, shown)], []


def parse_rst(text: str) -> Parsed:
    """A reStructuredText; its title is its first heading. What docutils cannot read is plain text."""
    if _is_endless(text):
        return _as_text(text)
    try:
        with _any_names():
            tree = publish_doctree(text, settings_overrides=_SETTINGS)
            comments = list(tree.findall(nodes.comment))
            for comment in comments:
                comment.parent.remove(comment)
            html = publish_from_doctree(tree, writer="html5", settings_overrides=_SETTINGS)
    except (SystemMessage, Exception):  # noqa: BLE001 - docutils has bugs of its own on odd input.
        return _as_text(text)
    parsed = parse_html(html if isinstance(html, str) else html.decode())
    plural = "comment was" if len(comments) == 1 else "comments were"
    notes = (*parsed.notes, *([f"{len(comments)} {plural} left out."] if comments else ()))
    return replace(parsed, notes=notes, language="")  # The language is that of docutils.


def _is_endless(text: str) -> bool:
    """Whether docutils would take quadratic time, or would leave out a line as too long."""
    for group in re.split(r"\n[^\S\n]*\n", text):
        parts = group.split("\n") if _LINES.match(group) else [group]
        if any(len(part) > _LONGEST or len(_MARK.findall(part)) > _MOST_MARKS for part in parts):
            return True
    return False


def _as_text(text: str) -> Parsed:
    parsed = parse_text(text)
    note = "This could not be read as reStructuredText and was read as plain text."
    return replace(parsed, notes=(*parsed.notes, note))


@contextmanager
def _any_names() -> Iterator[None]:
    """While this is open, docutils knows every directive and role."""
    directive, role = directives.directive, roles.role

    def any_directive(name: str, language: Any, document: Any) -> Any:
        if name in ("include", "raw", "csv-table-file") or name in _LISTINGS:
            return _AnyDirective, []
        found, messages = directive(name, language, document)
        return (found, messages) if found is not None else (_AnyDirective, [])

    def any_role(name: str, language: Any, lineno: int, reporter: Any) -> Any:
        found, messages = role(name, language, lineno, reporter)
        return (found, messages) if found is not None else (_any_role, [])

    directives.directive = any_directive  # type: ignore[assignment]  # As Sphinx does.
    roles.role = any_role  # type: ignore[assignment]
    try:
        yield
    finally:
        directives.directive, roles.role = directive, role

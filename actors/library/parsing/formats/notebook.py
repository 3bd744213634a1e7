"""Jupyter notebooks as blocks: their Markdown, code, and what the code printed.

Rule: a notebook is read as one Markdown text, so that a heading stands over the cells below it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Parsed
from actors.library.parsing.formats.markdown import parse_markdown

_TERMINAL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NO_NOTEBOOK = "This is not a notebook. Save it anew as .ipynb, or send it as application/json."


def parse_notebook(text: str) -> Parsed:
    """A notebook of any format version; its title is its first heading."""
    try:
        notebook = json.loads(text)
    except ValueError as error:
        raise UnreadableDocument(_NO_NOTEBOOK) from error
    cells = _cells(notebook)
    images: list[str] = []
    parsed = parse_markdown("\n\n".join(part for cell in cells for part in _cell(cell, images)))
    count = len(images)
    note = "1 image was left out." if count == 1 else f"{count} images were left out."
    return replace(parsed, notes=(*parsed.notes, note) if images else parsed.notes)


def _cells(notebook: Any) -> list[dict[str, Any]]:
    match notebook:
        case {"cells": list(cells)} | {"worksheets": [{"cells": list(cells)}, *_]}:
            return [cell for cell in cells if isinstance(cell, dict)]
        case _:
            raise UnreadableDocument(_NO_NOTEBOOK)


def _cell(cell: dict[str, Any], images: list[str]) -> Iterator[str]:
    source = _text(cell.get("source", cell.get("input")))
    match cell.get("cell_type"):
        case "markdown":
            yield source
        case "heading":
            yield f"{'#' * int(cell.get('level') or 1)} {source}"
        case _:
            yield _fenced(source)
            for output in cell.get("outputs") or ():
                yield from _output(output, images)


def _output(output: Any, images: list[str]) -> Iterator[str]:
    """What a cell printed or showed, as text."""
    if not isinstance(output, dict):
        return
    data = output.get("data") if isinstance(output.get("data"), dict) else output
    assert isinstance(data, dict)
    shown = [name for name in data if str(name).startswith("image/") or name in ("png", "jpeg")]
    images += shown[:1]
    if markdown := _text(data.get("text/markdown")):
        yield markdown
        return
    text = data.get("text/plain", data.get("text", output.get("evalue")))
    if not shown:
        yield _fenced(_text(text))


def _text(value: Any) -> str:
    joined = "".join(map(str, value)) if isinstance(value, list) else str(value or "")
    return _TERMINAL.sub("", joined)


def _fenced(text: str) -> str:
    if not text.strip():
        return ""
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"

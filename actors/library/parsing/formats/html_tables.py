"""HTML tables and ordered lists: cells that span others, header rows, and the numbers of items."""

from __future__ import annotations

from collections.abc import Iterator

from selectolax.lexbor import LexborNode

from actors.library.parsing.blocks import Kind, row_text
from actors.library.parsing.formats.html_inline import text_of
from actors.library.parsing.formats.html_tree import Page, attribute, classes, letters

_LONG_CELL = 600
_MOST_COLUMNS = 200
_Spanning = dict[int, tuple[int, tuple[str, bool]]]

_MOST_ROWS = 1_000
"""Of one cell that spans rows."""


def is_layout(table: LexborNode) -> bool:
    """Whether a table only places things on the page."""
    if attribute(table, "role") in ("presentation", "none") or "highlighttable" in classes(table):
        return True
    if table.parent is not None and "admonition" in classes(table.parent):
        return True
    if any(node.mem_id != table.mem_id for node in table.css("table, h1, h2, h3, h4")):
        return True
    if table.css_first("th, caption") is not None:
        return False
    return table.css_first("pre") is not None or any(
        letters(cell) > _LONG_CELL for cell in table.css("td")
    )


def table_rows(page: Page, table: LexborNode) -> Iterator[tuple[Kind, str]]:
    """The caption, header rows and rows of a table as blocks."""
    for caption in table.css("caption"):
        yield "paragraph", text_of(page, caption)
    below: _Spanning = {}
    previous: Kind = "header"
    bold = _bold_row(table)
    for row in table.css("tr"):
        cells, below = _cells(page, row, below)
        texts = [text for text, _ in cells]
        if len(set(texts)) == 1 and len(texts) > 1 and _is_one_cell(row):
            yield ("paragraph" if previous == "header" else "row"), texts[0]
            continue
        is_header = all(head for _, head in cells) and (len(cells) > 1 or previous == "header")
        is_header = is_header or _is_in_head(row) or row.mem_id == bold
        kind: Kind = "header" if is_header else "row"
        previous = kind
        yield kind, row_text(texts)


def markers(items: LexborNode) -> Iterator[str]:
    """The marks of the items of a list, as a browser shows them; endless."""
    if items.tag != "ol":
        while True:
            yield "-"
    step = -1 if "reversed" in items.attributes else 1
    children = [child for child in items.iter() if child.tag == "li"]
    number = _number(attribute(items, "start"), len(children) if step < 0 else 1)
    style = attribute(items, "type") or "1"
    for child in children:
        number = _number(attribute(child, "value"), number)
        yield _styled(number, style) + (attribute(items, "data-end") or ".")
        number += step


def _cells(
    page: Page, row: LexborNode, above: _Spanning
) -> tuple[list[tuple[str, bool]], _Spanning]:
    """The cells of a row, each with whether it is a header, and what reaches into the next rows.

    `above` maps a column to how many more rows a cell above reaches down, and that cell.
    """
    cells: list[tuple[str, bool]] = []
    below = {column: (rows - 1, cell) for column, (rows, cell) in above.items() if rows > 1}

    def fill() -> None:
        while len(cells) in above:
            cells.append(above[len(cells)][1])

    for cell in row.css("td, th"):
        fill()
        text = text_of(page, cell)
        rows = min(_number(attribute(cell, "rowspan"), 1), _MOST_ROWS)
        columns = max(1, _number(attribute(cell, "colspan"), 1))
        for _ in range(min(columns, _MOST_COLUMNS - len(cells))):
            if rows > 1:
                below[len(cells)] = (rows - 1, (text, cell.tag == "th"))
            cells.append((text, cell.tag == "th"))
        if len(cells) >= _MOST_COLUMNS and columns == 1:
            cells.append((text, cell.tag == "th"))
    fill()
    return cells, below


def _is_one_cell(row: LexborNode) -> bool:
    return len(row.css("td, th")) == 1


def _bold_row(table: LexborNode) -> int:
    """The id of the first row, if it is bold and the second is not; else 0."""
    rows = table.css("tr")[:2]
    bold = [all(_is_bold(cell) for cell in row.css("td")) for row in rows]
    has_heads = table.css_first("th") is not None
    return rows[0].mem_id if bold == [True, False] and not has_heads else 0


def _is_bold(cell: LexborNode) -> bool:
    return letters(cell) == sum(letters(part) for part in cell.css("b, strong"))


def _is_in_head(row: LexborNode) -> bool:
    return row.parent is not None and row.parent.tag == "thead"


def _number(written: str, otherwise: int) -> int:
    digits = written.strip()
    return int(digits) if digits.lstrip("-").isdecimal() and len(digits) < 10 else otherwise


_ROMAN = {1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl"}
_ROMAN |= {10: "x", 9: "ix", 5: "v", 4: "iv", 1: "i"}


def _styled(number: int, style: str) -> str:
    if number < 1 or number > 3999 or style not in "aAiI":
        return str(number)
    text = ""
    if style in "iI":
        for value, letter in _ROMAN.items():
            text += letter * (number // value)
            number %= value
    else:
        while number:
            number, rest = divmod(number - 1, 26)
            text = chr(ord("a") + rest) + text
    return text.upper() if style.isupper() else text

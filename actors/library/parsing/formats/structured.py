"""Tables (csv, tsv) and values (json, yaml, toml) as blocks: rows, and lines "path: value".

Rule: values are kept as they are written: numbers and dates are not interpreted. What is not valid
is read as a listing, with a note.
"""

from __future__ import annotations

import csv
import io
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from actors.errors import UnreadableDocument
from actors.library.parsing.blocks import Block, Parsed, collapsed, dedented, lined, row_text

_MOST_VALUES = 200_000
_DEEPEST = 100
_LONG_TEXT = 200
_SAMPLE_LINES = 30
_DELIMITERS = ",;\t|"
_MOST_OPEN = 200
_WIDEST_INDENT = 1_000
_DOTTED = re.compile(rf"(?<![\w\"'-])(?:[\w\"'-]++\s*+\.\s*+){{{_DEEPEST}}}")
"""A key of so many parts takes quadratic time and memory."""


def parse_csv(text: str) -> Parsed:
    """Values between commas, or between what else parts them in this file."""
    return _table(text, _delimiter(text))


def parse_tsv(text: str) -> Parsed:
    return _table(text, "\t")


def parse_json(text: str) -> Parsed:
    try:
        value = json.loads(text, parse_int=str, parse_float=str)
    except ValueError:
        return _listing(text, "JSON")
    return _values(value)


def parse_json_lines(text: str) -> Parsed:
    """One value a line; each is a section of its own."""
    blocks: list[Block] = []
    broken = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, parse_int=str, parse_float=str)
        except ValueError:
            broken += 1
            blocks.append(Block(line.strip(), "code", (f"line {number}",)))
        else:
            blocks += value_blocks(value, (f"line {number}",))
        if len(blocks) > _MOST_VALUES:
            raise UnreadableDocument(_TOO_MANY)
    notes = (f"{broken} lines are not valid JSON and were read as text.",) if broken else ()
    return Parsed("", tuple(blocks), notes)


def parse_yaml(text: str) -> Parsed:
    try:
        _check_nesting(text)
        values = [value for value in yaml.load_all(text, _Loader) if value is not None]
        parsed = _values(values[0] if len(values) == 1 else values)
    except (yaml.YAMLError, ValueError):
        return _listing(text, "YAML")
    return Parsed(parsed.title, parsed.blocks, _comments(text))


def parse_toml(text: str) -> Parsed:
    try:
        parsed = _values(toml_value(text))
    except ValueError:
        return _listing(text, "TOML")
    return Parsed(parsed.title, parsed.blocks, _comments(text))


def yaml_value(text: str) -> Any:
    """A YAML value with its scalars as written; raises `ValueError` if it is none."""
    _check_nesting(text)
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def toml_value(text: str) -> dict[str, Any]:
    """A TOML table; raises `ValueError` if it is none."""
    if _DOTTED.search(text):
        raise ValueError("nested too deeply")
    return tomllib.loads(text, parse_float=str)


def value_blocks(value: Any, headings: tuple[str, ...] = ()) -> Iterator[Block]:
    """A value as lines "path: value", in its order. Long texts are paragraphs below their path.

    Raises `UnreadableDocument` for more values than a document may have: a few lines of YAML can
    stand for billions.
    """
    left = _MOST_VALUES
    stack: list[tuple[str, Any, int]] = [("", value, 0)]
    while stack:
        path, inner, depth = stack.pop()
        left -= 1
        if left < 0 or depth > _DEEPEST:
            raise UnreadableDocument(_TOO_MANY)
        match inner:
            case dict():
                stack += [
                    (f"{path}.{key}" if path else str(key), each, depth + 1)
                    for key, each in reversed(inner.items())
                ]
            case list() if inner and not any(isinstance(each, dict | list) for each in inner):
                yield from _line(path, ", ".join(map(_scalar, inner)), headings)
            case list():
                each_path = [f"{path}[{number}]" for number in range(len(inner))]
                stack += [(p, each, depth + 1) for p, each in reversed([*zip(each_path, inner)])]
            case _:
                yield from _line(path, _scalar(inner), headings)


_TOO_MANY = "This document holds too many values. Send it in smaller parts."
_Loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
"""It builds texts, lists and mappings, and nothing else."""


def _check_nesting(text: str) -> None:
    """Raise `ValueError` for what would exhaust the C stack."""
    depth = 0
    for bracket in re.finditer(r"[\[{\]}]", text):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        if depth > _MOST_OPEN:
            raise ValueError("nested too deeply")
    if re.search(rf"^ {{{_WIDEST_INDENT}}}|(?:[-?:] ){{{_MOST_OPEN}}}", text, re.MULTILINE):
        raise ValueError("nested too deeply")


def _line(path: str, text: str, headings: tuple[str, ...]) -> Iterator[Block]:
    if len(text) > _LONG_TEXT or "\n" in text.strip():
        yield Block(lined(text), "paragraph", (*headings, path) if path else headings)
    elif text.strip():
        spelled = collapsed(text)
        yield Block(f"{path}: {spelled}" if path else spelled, "pair", headings)


def _scalar(value: Any) -> str:
    is_word = value is None or isinstance(value, bool | dict | list)
    return json.dumps(value) if is_word else str(value)


def _values(value: Any) -> Parsed:
    title = value.get("title") if isinstance(value, dict) else None
    return Parsed(title if isinstance(title, str) else "", tuple(value_blocks(value)))


def _listing(text: str, what: str) -> Parsed:
    note = f"This is not valid {what} and was read as plain text."
    return Parsed("", (Block(dedented(text), "code"),), (note,))


def _comments(text: str) -> tuple[str, ...]:
    count = len(re.findall(r"^\s*#\s*\S", text, re.MULTILINE))
    if not count:
        return ()
    return ("1 comment was left out." if count == 1 else f"{count} comments were left out.",)


def _table(text: str, delimiter: str) -> Parsed:
    csv.field_size_limit(max(len(text), 131_072))
    blocks: list[Block] = []
    try:
        rows = [[collapsed(cell) for cell in row] for row in _reader(text.split("\n"), delimiter)]
    except csv.Error as error:
        raise UnreadableDocument(
            f"This table cannot be read ({error}). Save it anew as csv in UTF-8."
        ) from error
    rows = [row for row in rows if any(row)]
    for number, row in enumerate(rows):
        is_header = number == 0 and len(rows) > 1 and _is_header(row)
        blocks.append(Block(row_text(row), "header" if is_header else "row"))
    return Parsed("", tuple(blocks))


def _reader(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    return csv.reader((f"{line}\n" for line in lines), delimiter=delimiter, skipinitialspace=True)


def _is_header(row: list[str]) -> bool:
    """Whether a first row names its columns: no numbers, no name twice."""
    names = [cell for cell in row if cell]
    are_numbers = any(re.fullmatch(r"[-+]?[\d.,:/%\s]+", cell) for cell in names)
    return not are_numbers and len(set(names)) == len(names) > 0 and len(names) * 2 > len(row)


def _delimiter(text: str) -> str:
    """What parts the values: with it most lines have the same number of cells, and many."""
    lines = io.StringIO(text).readlines(_SAMPLE_LINES * 400)[:_SAMPLE_LINES]

    def evenness(delimiter: str) -> tuple[int, int]:
        try:
            counts = Counter(len(row) for row in _reader(lines, delimiter) if row)
        except csv.Error:
            return 0, 0
        (columns, times), *_ = counts.most_common(1) or [(1, 0)]
        return (times if columns > 1 else 0), columns

    return max(_DELIMITERS, key=evenness)

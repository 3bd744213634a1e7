"""From findings to the text of a report, an excerpt at a time.

Rule: what stands before a citation is word for word from its source. Headings and notes state
nothing but what was found and what could not be searched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from actors.tasks.evidence import Finding, Findings, Section
from actors.tasks.failure import Failure
from actors.tasks.report import PARAGRAPH, numbered_sources, opening, place

TITLE_CHARACTERS = 160
MOST_LINES = 24
"""Lines of a listing that are quoted."""

_NOTHING = "The library has nothing on this."
_NO_ANSWER = "Nothing in the library answers this directly."
_CLOSEST = "The closest passages:"
_HINT = "Add documents that cover it with `terzetto ingest PATH`, then run the task again."

_ESCAPED = re.compile(
    r"`|\\(?=[!-/:-@\[-`{-~\s]|$)|(?<=\S)\*|\*(?=\S)"
    r"|(?<![^\W_])_+|_+(?![^\W_])"  # `snake_case` is no emphasis.
    r"|\[(?![^\W\d][^\[\]\n]*\](?![(\[:]))|(?<=\d)\]"  # `[x]` is no link, `[1]` would be a citation.
    r"|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<=\s)#(?=#*\s*$)",
    re.MULTILINE,
)
_LINE_START = re.compile(
    r"^(\s*)(?:([-+*#](?=[-+*#\s]*(?:\s|$))|=(?==*\s*$)|>)|(\d{1,9})([.)])(?=\s|$))", re.MULTILINE
)
_IN_PAIRS = re.compile(r"[~|]")
"""A second one of these, or a second line, makes them markup."""
_ITEM = re.compile(r"^( *)([-*+•]|\d{1,9}[.)]|\(?\w{1,3}[.)])\s+(.*)$", re.DOTALL)


def parts(task_description: str, findings: Findings) -> Iterator[str]:
    """The report in Markdown. The parts, joined, are its text."""
    yield from opening(title_of(task_description), findings)
    several = len(findings.sections) > 1
    for section in findings.sections:
        if several:
            yield f"## {title_of(section.question.text)}{PARAGRAPH}"
        yield from _section(section)
    if findings.sources:
        yield f"## Sources{PARAGRAPH}"
    for source in numbered_sources(findings.sources):
        yield f"{source.n}. {escaped(place(source))}\n"


def title_of(text: str) -> str:
    """A task or question as a heading, its first letter a capital."""
    line = _title(text)
    return escaped(line[:1].upper() + line[1:])


def excerpts(findings: Findings) -> Iterator[str]:
    """The excerpts alone, to stand below a text that cites none of them; nothing if there are none."""
    found = [section for section in findings.sections if section.findings]
    for section in found:
        if len(found) > 1:
            yield f"### {escaped(_title(section.question.text))}{PARAGRAPH}"
        yield from _found(section)


def not_searched(failures: Iterable[Failure]) -> Iterator[str]:
    """A note on each thing that could not be searched or asked."""
    for message in dict.fromkeys(failure.message for failure in failures):
        yield f"*Not searched: {escaped(message)}*{PARAGRAPH}"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is. A mark gets a backslash only where it would mean something."""
    text = _ESCAPED.sub(_escaped_marks, text)
    if "\n" in text or text.count("~") > 1:
        text = _IN_PAIRS.sub(_escaped_marks, text)
    return _LINE_START.sub(_escaped_start, text)


def _escaped_in_row(text: str) -> str:
    """The text of a cell or item, where a bar may begin a table."""
    return re.sub(r"(?<!\\)\|", r"\|", escaped(text))


def _escaped_marks(match: re.Match[str]) -> str:
    return "".join(f"\\{mark}" for mark in match[0])


def _escaped_start(match: re.Match[str]) -> str:
    blanks, sign, number, point = match.groups()
    return f"{blanks}\\{sign}" if sign else f"{blanks}{number}\\{point}"


def _title(text: str) -> str:
    line = " ".join(text.split())
    cut = line[:TITLE_CHARACTERS].rsplit(" ", 1)[0] + " …"
    return line if len(line) <= TITLE_CHARACTERS else cut


def _section(section: Section) -> Iterator[str]:
    yield from not_searched(section.missed)
    if section.findings:
        yield from _found(section)
    else:  # Only a search that worked may say that there is nothing.
        yield f"{_NO_ANSWER if section.missed else _NOTHING} {_HINT}{PARAGRAPH}"


def _found(section: Section) -> Iterator[str]:
    words = escaped(", ".join(section.unknown))
    unknown = f"*Nowhere in the library: {words}.*" if words else ""
    notes = (unknown,) if section.answers else (_NO_ANSWER, unknown, _CLOSEST)
    if any(notes):
        yield " ".join(filter(None, notes)) + PARAGRAPH
    groups: dict[str | int, list[Finding]] = {}  # Rows with one header are one table.
    for number, finding in enumerate(section.findings):
        groups.setdefault(_header(finding) or number, []).append(finding)
    for header, found in groups.items():
        yield _table(header, found) if isinstance(header, str) else _quoted(found[0])


def _quoted(finding: Finding) -> str:
    """An excerpt as Markdown, its citation after each part that stands alone."""
    mark = _mark(finding)
    if finding.kind == "row":
        return " | ".join(_cells(finding.text)) + mark + PARAGRAPH
    if finding.kind == "definition":
        return _definition(finding.text, mark)
    return _blocks(_pieces(finding.text), mark)


def _pieces(text: str) -> Iterator[str]:
    """The blocks of a text; a paragraph and the list right below it are two."""
    for block in filter(str.strip, text.split("\n\n")):
        lines = block.split("\n")
        first = next((n for n, line in enumerate(lines) if _ITEM.match(line)), 0)
        if first and not block.startswith("    "):
            yield "\n".join(lines[:first])
            yield "\n".join(lines[first:])
        else:
            yield block


def _blocks(pieces: Iterable[str], mark: str) -> str:
    """Each part with its citation; listings in a row have one, below them."""
    text = ""
    for is_code, run in groupby(pieces, key=lambda piece: piece.startswith("    ")):
        text += "".join(_block(piece, mark) for piece in run) + is_code * (mark[1:] + PARAGRAPH)
    return text


def _block(block: str, mark: str) -> str:
    if block.startswith("    "):
        return _fenced(block)
    if _ITEM.match(block):
        lines = [_item(line) for line in block.split("\n")]
        return "\n".join(lines) + mark + PARAGRAPH
    text = escaped("\n".join(filter(None, map(str.strip, block.split("\n")))))
    return text.replace("\n", "  \n") + mark + PARAGRAPH


def _item(line: str) -> str:
    match = _ITEM.match(line)
    if match is None:
        return "  " + _escaped_in_row(line.strip())
    indent, marker, text = match.groups()
    return f"{indent}{marker} {_escaped_in_row(text)}"


def _definition(text: str, mark: str) -> str:
    """The term in bold, its text below."""
    term, _, rest = text.partition("\n")
    head = f"**{escaped(term.strip())}**"
    below = list(_pieces(rest.strip("\n")))
    if not below or below[0].startswith("    ") or _ITEM.match(below[0]):
        return f"{head}{mark}{PARAGRAPH}{_blocks(below, mark)}"
    return f"{head}  \n{_blocks(below, mark)}"


def _header(finding: Finding) -> str:
    """The header of a row; "" if it has none, or if this is no row."""
    lines = finding.text.strip().split("\n") if finding.kind == "row" else []
    return lines[0] if len(lines) > 1 else ""


def _table(header: str, findings: Iterable[Finding]) -> str:
    """Rows that have the same header, each with its citation."""
    rows = [(_cells(header), ""), (["---"] * len(_cells(header)), "")]
    for finding in findings:
        _, *lines, last = finding.text.strip().split("\n")
        rows += [*((_cells(line), "") for line in lines), (_cells(last), _mark(finding))]
    width = max(len(cells) for cells, _ in rows)
    whole = [([*cells, *[""] * (width - len(cells))], mark) for cells, mark in rows]
    return "".join(f"| {' | '.join(cells)}{mark} |\n" for cells, mark in whole) + "\n"


def _cells(row: str) -> list[str]:
    cells = row.strip().strip("|").split(" | ")
    return [_escaped_in_row(cell.strip().replace("\\|", "|")) for cell in cells]


def _mark(finding: Finding) -> str:
    return f" [{finding.source + 1}]"


def _fenced(listing: str) -> str:
    """A listing as a block of code, whatever it contains."""
    lines = [line.removeprefix("    ") for line in listing.strip("\n").split("\n")]
    code = "\n".join(lines[:MOST_LINES])
    more = f"*The listing goes on in the source.*{PARAGRAPH}" if len(lines) > MOST_LINES else ""
    fence = "```"
    while fence in code:
        fence += "`"
    return f"{fence}\n{code}\n{fence}{PARAGRAPH}{more}"

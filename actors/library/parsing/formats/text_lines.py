"""Shapes of lines of plain text: items, columns, headings, page furniture, lines that were wrapped.

Rule: no vocabulary. A line is judged by its length, indent, numbering and punctuation, so that
texts of all languages are judged alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from actors.library.parsing.blocks import collapsed

UNDERLINE = re.compile(r"\s*([=\-~^\"*#+_])\1{2,}\s*$")
_ITEM = re.compile(r"(\s*)((?:[-*•–+◦▪‣·]|\(?(?:\d{1,3}|[a-z])\)|\d{1,3}\.)(?:\s+|$))(?=\S|$)")
_NUMBERED = re.compile(
    r"\s*(?:(?:Appendix |Annex )?[A-Z]|\d{1,3})(?:\.\d{1,3}){0,5}[.:]?\s+(?=\S)", re.IGNORECASE
)
_COLUMNS = re.compile(r"[^\s.?!。]\s*(?:\t| {3,})\S|[^\s.?!。:|] {2,}\S|\S\s*\|\s*\S")
_LEADER = re.compile(r"(?:\.{4,}|(?: \.){4,}|…{2,})\s*\d+\s*$")
_PAGE = re.compile(r"\[page \w+\]\s*$", re.IGNORECASE)
_CODE = re.compile(r"[{}();=<>\[\]$#\\|_*/+]")
_ENDS = tuple(".,;:!。，；：！、")
_MOST_WORDS, _LONGEST, _LONGEST_WIDE = 10, 70, 25


def indent_of(lines: Iterable[str]) -> int:
    return min((len(line) - len(line.lstrip()) for line in lines), default=0)


def without_furniture(text: str) -> list[str]:
    """The lines of a text without the heads and feet of its pages; a blank line parts pages."""
    pages = [page.split("\n") for page in text.expandtabs(8).split("\f")]
    edges = Counter(shape for page in pages for shape in {_shape(x) for x in _edges(page)})
    most = max(2, len(pages) * 0.4)
    lines: list[str] = []
    for page in pages:
        around = {id(x) for x in _edges(page) if edges[_shape(x)] >= most}
        kept = [x for x in page if id(x) not in around and not _PAGE.search(x)]
        if len(pages) > 1:
            while kept and not kept[-1].strip():
                kept.pop()
            while kept and not kept[0].strip():
                kept.pop(0)
            if lines and kept and not _goes_on(lines[-1], kept[0]):
                lines.append("")
        lines += kept
    return lines


def _edges(page: Sequence[str]) -> list[str]:
    filled = [line for line in page if line.strip()]
    return [filled[0], filled[-1]] if len(filled) > 1 else filled


def _shape(line: str) -> str:
    return re.sub(r"\d+|\b[ivxl]+\b", "0", collapsed(line))


def _goes_on(line: str, following: str) -> bool:
    """Whether a paragraph goes on over the end of a page."""
    return not line.rstrip().endswith(_ENDS[:1] + _ENDS[3:]) and following.lstrip()[:1].islower()


def is_contents(lines: Sequence[str]) -> bool:
    """Whether lines are a table of contents: most lead to a page with dots."""
    return sum(_LEADER.search(line) is not None for line in lines) * 2 > len(lines)


def is_columns(lines: Sequence[str]) -> bool:
    """Whether at least two lines, and most, have columns."""
    with_columns = sum(_COLUMNS.search(line.strip()) is not None for line in lines)
    return with_columns > 1 and with_columns * 3 >= len(lines) * 2


def is_prose(lines: Sequence[str]) -> bool:
    """Whether indented lines are sentences, not a listing."""
    text = collapsed(" ".join(lines))
    if is_columns(lines) or len(_CODE.findall(text)) > 0.04 * len(text):
        return False
    is_sentence = text.endswith((".", "?", "!", ":", "。", "？", "！", '."', ".)", ";", ","))
    return (is_sentence and (" " in text or is_wide(text[:1]))) or len(text) > 100


def item_of(line: str) -> tuple[str, str] | None:
    """The marker and the text of a line that is an item of a list."""
    found = _ITEM.match(line)
    if found is None or not line[found.end() :].strip():
        return None
    marker = found[2].strip()
    return ("-" if len(marker) == 1 else marker), line[found.end() :].strip()


def number_of(marker: str) -> int:
    """The number of an item; 0 for a bullet."""
    inner = marker.strip("().")
    return int(inner) if inner.isdecimal() else (ord(inner[:1] or "`") - 96 if inner != "-" else 0)


def section_number(line: str) -> str:
    """The number that a line begins with, as "2.3", or "" if it is not one of a section."""
    found = _NUMBERED.match(line)
    rest = line[found.end() :] if found else ""
    if found is None or not is_short(rest) or rest[:1].islower():
        return ""
    number = found[0].strip().rstrip(".:")
    return number if number[-1].isdecimal() or number[-2:-1] == " " else ""


def is_short(line: str) -> bool:
    """Whether a line may be a heading: few words, and no stop at its end."""
    text = collapsed(line)
    if not text or text.endswith(_ENDS) or _COLUMNS.search(line.strip()) or text[0] in "-*•>|#$/":
        return False
    longest = _LONGEST_WIDE if is_wide(text[0]) else _LONGEST
    return len(text) <= longest and len(text.split()) <= _MOST_WORDS and any(map(str.isalpha, text))


def is_capitals(line: str) -> bool:
    """Whether a short line has capital letters only, in a script that has others."""
    text = collapsed(line)
    return is_short(line) and text == text.upper() != text.lower() and sum(map(str.isalpha, text)) > 2


def is_wide(letter: str) -> bool:
    """Whether a letter is of a script without blanks between words."""
    is_hangul = "\uac00" <= letter <= "\ud7a3"
    return bool(letter) and not is_hangul and unicodedata.east_asian_width(letter) in "WF"


def unwrapped(lines: Iterable[str]) -> str:
    """Wrapped lines as one; no blank comes between letters of a script without blanks."""
    text = ""
    parts: list[str] = []
    for line in map(collapsed, lines):
        if text and line and not (is_wide(text[-1]) and is_wide(line[0])):
            parts.append(" ")
        parts.append(line)
        text = line or text
    return "".join(parts).strip()


def usual_width(lines: Iterable[str]) -> int:
    """How long a line of the text may be before it is wrapped."""
    lengths = sorted(len(line.rstrip()) for line in lines if line.strip())
    return max(60, lengths[len(lengths) * 9 // 10]) if lengths else 60


def are_own_lines(lines: Sequence[str], width: int) -> bool:
    """Whether lines end where their author wanted: the next word would have fitted on most."""
    early = sum(
        len(line.rstrip()) + 1 + len(following.split(None, 1)[0]) < 0.75 * width
        and not following.lstrip()[0].islower()
        for line, following in zip(lines, lines[1:])
    )
    return early > 0 and early * 3 >= (len(lines) - 1) * 2

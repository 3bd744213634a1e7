"""Shapes of lines of plain text: items, columns, headings, page furniture, lines that were wrapped.

Rule: no vocabulary. A line is judged by its length, indent, numbering and punctuation, so that
texts of all languages are judged alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from actors.library.parsing.blocks import collapsed

UNDERLINE = re.compile(r"\s*([=\-~^\"*#+_])\1{2,}\s*$")
_ITEM = re.compile(
    r"(\s*)((?:[-*•–+◦▪‣·]|o(?=\s{2})|\(?(?:\d{1,3}|[a-z])\)|\d{1,3}\.)(?:\s+|$))(?=\S|$)"
)
_NUMBERED = re.compile(
    r"\s*(?:(?:Appendix |Annex )?[A-Z]|\d{1,3})(?:\.\d{1,3}){0,5}[.:]?\s+(?=\S)", re.IGNORECASE
)
_COLUMNS = re.compile(r"[^\s.?!。] {3,}\S|[^\s.?!。:|] {2,}\S|\S ?\| ?\S")
_PAGE = re.compile(r"\[page \w+\]\s*$", re.IGNORECASE)
_GAP = re.compile(r"\S {3,}\S")
_MANUAL = re.compile(r"(\S+\(\w+\))\s.*\s\1")
_CODE = re.compile(r"[{}();=<>\[\]$#\\|_*/+]")
_ENDS = tuple(".,;:!。，；：！、")
_FULL_LINE = 50
_MOST_WORDS, _LONGEST, _LONGEST_WIDE = 10, 70, 25


def indent_of(lines: Iterable[str]) -> int:
    return min((len(line) - len(line.lstrip()) for line in lines), default=0)


def without_furniture(text: str) -> list[str]:
    """The lines of a text without the heads and feet of its pages; a blank line parts pages."""
    pages = _pages(text)
    edges = Counter(shape for page, _ in pages for shape in {_shape(x) for x in _edges(page)})
    most = max(2, len(pages) * 0.4)
    lines: list[str] = []
    was_numbered = False
    for page, is_numbered in pages:
        around = {id(x) for x in _edges(page) if edges[_shape(x)] >= most}
        head = _edges(page)[:1]
        if was_numbered and head and _GAP.search(head[0].strip()):
            around.add(id(head[0]))
        was_numbered = is_numbered
        kept = [x for x in page if id(x) not in around]
        if len(pages) > 1:
            while kept and not kept[-1].strip():
                kept.pop()
            while kept and not kept[0].strip():
                kept.pop(0)
            if lines and kept and not _goes_on(lines[-1], kept[0]):
                lines.append("")
        lines += kept
    return lines


def _pages(text: str) -> list[tuple[list[str], bool]]:
    """The pages of a text, each with whether a line such as "[Page 3]" ended it, without that."""
    pages: list[tuple[list[str], bool]] = [([], False)]
    for line in text.expandtabs(8).replace("\f", "\n\f").split("\n"):
        if _PAGE.search(line):
            pages[-1] = (pages[-1][0], True)
            pages.append(([], False))
        elif line.startswith("\f") and any(map(str.strip, pages[-1][0])):
            pages.append(([line[1:]], False))
        else:
            pages[-1][0].append(line.removeprefix("\f"))
    return pages


def _edges(page: Sequence[str]) -> list[str]:
    first = next((line for line in page if line.strip()), None)
    last = next((line for line in reversed(page) if line.strip()), None)
    return [edge for edge in dict.fromkeys((first, last)) if edge is not None]


def _shape(line: str) -> str:
    return re.sub(r"\d+|\b[ivxl]+\b", "0", collapsed(line))


def _goes_on(line: str, following: str) -> bool:
    """Whether a paragraph goes on over the end of a page."""
    return not line.rstrip().endswith(_ENDS[:1] + _ENDS[3:]) and following.lstrip()[:1].islower()


def manual_page(lines: list[str]) -> str:
    """The name of a manual page, as "ls(1)", whose head and foot are removed; "" if it is none."""
    edges = [at for at, line in enumerate(lines) if line.strip()]
    found = _MANUAL.fullmatch(lines[edges[0]].strip()[:200]) if edges else None
    if found is None:
        return ""
    if len(edges) > 1 and (found[1] in lines[edges[-1]] or _GAP.search(lines[edges[-1]].strip())):
        del lines[edges[-1]]
    del lines[edges[0]]
    return found[1]


def is_contents(lines: Sequence[str]) -> bool:
    """Whether lines are a table of contents: most lead to a page with dots."""
    return sum(map(leads_to_page, lines)) * 2 > len(lines)


def leads_to_page(line: str) -> bool:
    """Whether a line ends with dots and a number."""
    line = line.rstrip()
    before = line.rstrip("0123456789")
    dots = before[len(before.rstrip(" .…")) :]
    return before != line and (dots.count(".") > 3 or dots.count("…") > 1)


def is_columns(lines: Sequence[str]) -> bool:
    """Whether at least two lines, and most, have columns; lines that are justified have none."""
    with_columns = sum(_COLUMNS.search(line.strip()) is not None for line in lines)
    if with_columns < 2 or with_columns * 3 < len(lines) * 2:
        return False
    is_full = sum(len(line) for line in lines) > _FULL_LINE * len(lines)
    is_justified = is_full and not any(_GAP.search(line.strip()) for line in lines)
    return not (is_justified and lines[-1].rstrip().endswith(_ENDS))


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
    return (
        is_short(line) and text == text.upper() != text.lower() and sum(map(str.isalpha, text)) > 2
    )


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
    early = sum(_ends_early(line, following, width) for line, following in pairwise(lines))
    return early > 0 and early * 3 >= (len(lines) - 1) * 2


def _ends_early(line: str, following: str, width: int) -> bool:
    line, first = line.strip(), following.split(None, 1)[0]
    if is_wide(line[-1]) and is_wide(first[0]):
        return line.endswith(_ENDS) and not line.endswith(("，", "、"))
    return len(line) + 1 + len(first) < 0.75 * width and not first[0].islower()


def is_wide_lead(lines: Sequence[str]) -> bool:
    """Whether a short line of a script without blanks stands above longer ones."""
    first = lines[0].strip()
    if len(lines) < 2 or not is_wide(first[0]) or first.endswith(_ENDS + ("？",)):
        return False
    return len(first) <= 15 and len(lines[1].strip()) > 1.5 * len(first)

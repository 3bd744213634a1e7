"""Lines of PDF pages put together to paragraphs, without what stands around each page.

Rule: a line is furniture only if it has the same text, or a number that counts the pages, at the
same place of most pages. A hyphen at the end of a line is removed only if the document does not
write the word with it elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from actors.library.parsing.blocks import Outline, is_pair
from actors.library.parsing.formats.text_lines import is_wide, item_of, section_number

_BROKEN = re.compile(r"(\w+)-$")
_CONTINUED = re.compile(r"^(\w+)")
_HYPHENATED = re.compile(r"\w+-\w+")
_STOPS = (".", "!", "?", ":", "”", '."', ".)", "。", "！", "？", ";")
_SHORT_LINE = 0.75
_LEAST_WIDTH = 45
_EDGE = 2
"""Lines at the top and at the bottom of a page that may be furniture."""

_LONGEST = 80
"""Letters of a line with a page number."""

Page = Sequence[str]


def without_furniture(pages: Sequence[Page]) -> list[list[str]]:
    """The lines of each page without running heads, feet and page numbers."""
    kept = [list(page) for page in pages]
    for end in (0, -1):
        for _ in range(_EDGE):
            if not _strip_edge(kept, end):
                break
    return kept


def _strip_edge(pages: list[list[str]], end: int) -> bool:
    """Remove the first (0) or last (-1) lines that are furniture; whether there were any."""
    shapes: dict[str, list[int]] = {}
    for number, page in enumerate(pages):
        if page:
            shapes.setdefault(_shape(page[end]), []).append(number)
    filled = sum(map(bool, pages))
    found = False
    for numbers in shapes.values():
        lines = [pages[number][end] for number in numbers]
        enough = 2 if _has_page_number(lines, numbers) else 3
        odd_or_even = len({number % 2 for number in numbers}) == 1
        share = 0.35 if odd_or_even and len(numbers) > 2 else 0.5
        if len(numbers) < enough or len(numbers) <= share * filled - (enough == 2):
            continue
        if not (len(set(lines)) == 1 or _has_page_number(lines, numbers)):
            continue
        found = True
        for number in numbers:
            del pages[number][end]
    return found


def _has_page_number(lines: Sequence[str], pages: Sequence[int]) -> bool:
    """Whether a number in the lines grows as the pages do."""
    columns = zip(*(re.findall(r"\d+", line)[:4] for line in lines))
    are_short = all(len(line) <= _LONGEST and not line.endswith(".") for line in lines)
    return (
        len(lines) > 1
        and are_short
        and any(
            len({int(number[:9]) - page for number, page in zip(column, pages)}) == 1
            for column in columns
        )
    )


def _shape(line: str) -> str:
    return re.sub(r"\d+", "0", line)


def add_paragraphs(outline: Outline, pages: Sequence[Page]) -> None:
    """Paragraphs, items and lines, each below the page that it begins on."""
    lines = [(number, line) for number, page in enumerate(pages, start=1) for line in page]
    known = Counter(word.lower() for _, line in lines for word in _HYPHENATED.findall(line))
    for number, marker, text in _paragraphs(lines, known):
        if not outline.open or outline.open[0][1] != f"page {number}":
            outline.heading(1, f"page {number}")
        outline.keep(text, "item" if marker else "paragraph", marker)


def _paragraphs(
    lines: Sequence[tuple[int, str]], known: Counter[str]
) -> Iterator[tuple[int, str, str]]:
    """Page, marker of an item or "", and text."""
    lengths = sorted(len(line) for _, line in lines)
    usual = max(_LEAST_WIDTH, lengths[len(lines) * 3 // 4]) if lines else 0
    text, marker, begins = "", "", 0
    for at, (number, line) in enumerate(lines):
        item = item_of(line)
        if text and "." in section_number(line) and _ends(text, usual):
            yield begins, marker, text
            text, marker = "", ""
        if item is not None and (not text or _ends(text, usual) or item[0] == "-"):
            if text:
                yield begins, marker, text
            (marker, text), begins = item, number
        else:
            begins = begins if text else number
            text = _continued(text, line, known, usual)
        following = lines[at + 1][1] if at + 1 < len(lines) else ""
        is_short = _is_short(line, following, usual)
        is_end = len(line) < _SHORT_LINE * usual and line.endswith(_STOPS) and not is_pair(line)
        if is_end or (is_short and (marker or "." in section_number(line))):
            yield begins, marker, text
            text, marker = "", ""
    if text:
        yield begins, marker, text


def _ends(text: str, usual: int) -> bool:
    last = text.rpartition("\n")[2]
    return last.endswith(_STOPS) or len(last) < _SHORT_LINE * usual


def _is_short(line: str, following: str, usual: int) -> bool:
    """Whether a line ends where its author wanted, not where it was full."""
    first = following.split(None, 1)[0] if following else ""
    return len(line) + len(first) < _SHORT_LINE * usual and not first[:1].islower()


def _continued(paragraph: str, line: str, known: Counter[str], usual: int) -> str:
    """The paragraph with its next line."""
    if not paragraph:
        return line
    last = paragraph.rpartition("\n")[2]
    broken, rest = _BROKEN.search(last[-80:]), _CONTINUED.match(line)
    if paragraph.endswith("\u00ad"):
        return paragraph[:-1] + line
    if broken and rest and rest[1][0].islower():
        is_compound = known[f"{broken[1]}-{rest[1]}".lower()] or _is_compound(last[-80:], broken)
        return (paragraph if is_compound else paragraph[:-1]) + line
    if _is_short(last, line, usual) or line.isdigit() or last.isdigit():
        return f"{paragraph}\n{line}"
    gap = "" if is_wide(paragraph[-1]) and is_wide(line[0]) else " "
    return f"{paragraph}{gap}{line}"


def _is_compound(text: str, broken: re.Match[str]) -> bool:
    """Whether the broken word has a hyphen already, like state-of-the-art, or is a number."""
    return text[: broken.start()].endswith("-") or not broken[1].isalpha()

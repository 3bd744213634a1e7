"""The entries of a file with queries, judgements or documents: its lines, or TREC's elements.

    <top>                                  <DOC>
    <num> Number: 301                      <DOCNO> FT911-3 </DOCNO>
    <title> organized crime                <TEXT> ... </TEXT>
    </top>                                 </DOC>

Rule: every entry comes with where it stands, so that whoever cannot read it can say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from actors.errors import InvalidRequest

_TAG = re.compile(r"<[^<>]*>")


def numbered_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, and where it stands."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield f"{path}, line {number}", line.strip("\r\n")
    except UnicodeDecodeError:
        what = "Unpack it" if path.suffix in (".gz", ".zip", ".xz", ".bz2") else "Convert it"
        raise InvalidRequest(f"{path} is not UTF-8 text. {what} first.") from None
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}.") from None


def entries(path: Path, tag: str) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, those of an element of this name together, and where it begins."""
    begins, element = "", list[str]()
    for place, line in numbered_lines(path):
        if not element and not is_element(line, tag):
            yield place, line
            continue
        begins = begins if element else place
        element.append(line)
        if f"</{tag}>" in line.lower():
            yield begins, "\n".join(element)
            element = []
    if element:
        raise InvalidRequest(f"{begins}: expected </{tag}> in the lines after this.")


def is_element(entry: str, tag: str) -> bool:
    """Whether an entry is an element of this name."""
    return entry.lstrip().lower().startswith(f"<{tag}>")


def within(entry: str, *tags: str) -> str:
    """The text that stands in an element in elements of these names, which need not be closed."""
    names = "|".join(tags)
    found = re.findall(rf"(?is)<({names})>(.*?)(?=</?(?:\1|num|title|desc|narr|top)>|\Z)", entry)
    return "\n".join(unescape(_TAG.sub(" ", text)).strip() for _, text in found)

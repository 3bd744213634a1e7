"""The sentences of a passage that a report may cite, with what belongs to them.

Rule: a candidate is a verbatim piece of its passage (whitespace collapsed), a whole sentence of
prose. One that leans on the sentence before it ("This means ...") says so, and may be cited only
after that one. One that ends with a colon is cited with the listing or list that it announces, and
the first of a definition with the name that is defined.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from actors.agents.extractive.standing import announces, is_bare, is_citable, is_markup, leans
from actors.library.passages import Part, parts, sentences
from actors.runtime.cooperative import Cooperative, at_once
from actors.tasks.evidence import Passage
from actors.tasks.words import stems

MOST_LINES = 24
"""Lines of a listing that is shown with a sentence."""

_MOST_LETTERS = 1_500
_MOST_ITEMS = 12
_MOST_TERM = 400
_TERM = re.compile(r"(?:(?:class|exception|async|function|method|property|static) )*[-@\w./]+.*")
_NO_TERM = re.compile(r"[>$#%]|import |from |def |class \w+(?:\(\w*\))?:|.* = ")
_LABEL = re.compile(r"[A-Z][a-z]+(?: \w+)*")
"""What stands above a note ("See also"), and looks like what stands above a definition."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence, its passage, and its `place` among the sentences of that passage, from 0.

    `follows` is true if it stands in one paragraph with the sentence at `place - 1`. `leans` is
    true if it does not make sense without that one, and `bare` if it names no subject, like the
    first sentence of a function's documentation ("Return the list.") without its name.

    `term` is what it is the definition of, and `under` holds the stems of that; `listing` are the
    lines right below it, `items` the list that it announces, whose sentences stand at the `covers`
    places after it. `announces`: it makes no sense without them.
    """

    text: str
    passage: Passage
    place: int
    follows: bool
    leans: bool
    bare: bool
    stems: frozenset[str] = field(repr=False)
    length: int
    under: frozenset[str] = field(default=frozenset(), repr=False)
    term: str = ""
    listing: str = ""
    items: tuple[str, ...] = ()
    covers: int = 0
    announces: bool = False


def candidates(passage: Passage) -> list[Candidate]:
    """What may be cited from a passage, in its order."""
    return at_once(read(passage))


def read(passage: Passage) -> Cooperative[list[Candidate]]:
    """`candidates`, in slices."""
    found: list[Candidate] = []
    every = parts(passage.text)
    place = 0
    for number, part in enumerate(every):
        if part.kind not in ("prose", "item"):
            continue
        said = [" ".join(raw.split()) for raw in sentences(part.text)]
        for index, text in enumerate(said):
            term = _term(every, number) if index == 0 else ""
            last = index == len(said) - 1 and part.kind == "prose"
            below = every[number + 1 : number + 2 + _MOST_ITEMS] if last else []
            one = _candidate(text, passage, place, follows=index > 0, term=term, below=below)
            if one is not None:
                found.append(one)
            place += 1
            yield
    return found


def _candidate(
    text: str, passage: Passage, place: int, *, follows: bool, term: str, below: Sequence[Part]
) -> Candidate | None:
    """The sentence with what belongs to it; None if it may not be cited."""
    announced = announces(text)
    listing = _listing(below)
    items, covers = _items(below) if announced and not listing else ((), 0)
    if not (is_citable(text) or (announced and (listing or items))):
        return None
    defined = term if leans(text) or is_bare(text) else ""
    return Candidate(
        text=text,
        passage=passage,
        place=place,
        follows=follows,
        leans=leans(text) and not defined,
        bare=is_bare(text) and not defined,
        stems=frozenset(stems(" ".join([text, *items]))),
        under=frozenset(stems(defined)),
        length=len(text.split()),
        term=defined,
        listing=listing,
        items=items,
        covers=covers,
        announces=announced,
    )


def _term(every: Sequence[Part], number: int) -> str:
    """What the paragraph with this number defines: a line of its own right above it."""
    if number == 0 or every[number].kind != "prose" or every[number - 1].kind != "listing":
        return ""
    announced = number > 1 and every[number - 2].text.rstrip().endswith(":")
    lines = every[number - 1].text.splitlines()
    shown = len(lines) == 1 and len(lines[0]) <= _MOST_TERM and not announced
    named = shown and _TERM.match(lines[0]) and not _NO_TERM.match(lines[0])
    return lines[0] if named and not _LABEL.fullmatch(lines[0]) else ""


def _listing(below: Sequence[Part]) -> str:
    """The listing that these parts begin with, unless it is the next definition's name or long."""
    if not below or below[0].kind != "listing" or _term(below, 1 if len(below) > 1 else 0):
        return ""
    text = below[0].text
    if _LABEL.fullmatch(text):
        return ""
    return text if text.count("\n") < MOST_LINES and len(text) <= _MOST_LETTERS else ""


def _items(below: Sequence[Part]) -> tuple[tuple[str, ...], int]:
    """The list that these parts begin with, if it is not long, and how many sentences it has."""
    rows = [part.text for part in takewhile(lambda part: part.kind == "item", below)]
    if not 1 < len(rows) <= _MOST_ITEMS or sum(map(len, rows)) > _MOST_LETTERS:
        return (), 0
    if any(is_markup(row) for row in rows):
        return (), 0
    return tuple(" ".join(row.split()) for row in rows), sum(len(sentences(r)) for r in rows)

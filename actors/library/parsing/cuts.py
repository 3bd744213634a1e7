"""Passages and excerpts on their way from the process that parses to the database.

Rule: they stay as JSON, and are decoded a part at a time while they are read. As objects, those of a
document of many short blocks take two hundred times its bytes. Headings are sent once for the cuts
that follow one another under them, and text that stands in the document is not sent again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any, Generic, TypeVar

from actors.library.excerpts import ExcerptCut
from actors.library.passages import PassageCut

Cut = TypeVar("Cut", PassageCut, ExcerptCut)

CUTS_IN_PART = 100


@dataclass(frozen=True, slots=True)
class Part:
    """Some cuts as they are sent, and how many."""

    count: int
    content: bytes


class SentCuts(Collection[Cut], Generic[Cut]):
    """The cuts of a document with this text, in order. They can be read again and again."""

    def __init__(self, parts: list[Part], text: str, decode: Callable[..., Cut]) -> None:
        self._parts = parts
        self._text = text
        self._decode: Callable[..., Cut] = decode

    def __len__(self) -> int:
        return sum(part.count for part in self._parts)

    def __iter__(self) -> Iterator[Cut]:
        for part in self._parts:
            for headings, cuts in json.loads(part.content):
                shared = tuple(headings)
                for cut in cuts:
                    yield self._decode(self._text, shared, *cut)

    def __contains__(self, cut: object) -> bool:
        return any(cut == one for one in self)


def parts_of(
    cuts: Iterable[Cut], text: str, encode: Callable[[Cut, str], list[Any]]
) -> Iterator[Part]:
    """The cuts as they are sent."""
    left = iter(cuts)
    while some := list(islice(left, CUTS_IN_PART)):
        runs = groupby(some, key=lambda cut: cut.headings)
        content = [(headings, [encode(cut, text) for cut in run]) for headings, run in runs]
        yield Part(len(some), json.dumps(content, ensure_ascii=False).encode())


def encode_passage(cut: PassageCut, text: str) -> list[Any]:
    """A passage without its headings."""
    return [cut.position, cut.start, cut.end, _unless_there(cut, text), cut.links, cut.terms]


def decode_passage(
    text: str, headings: tuple[str, ...], position: int, start: int, end: int, *more: Any
) -> PassageCut:
    """The passage that was encoded."""
    own, links, terms = more
    own = text[start:end] if own is None else own
    return PassageCut(headings, position, start, end, own, links, terms)


def encode_excerpt(cut: ExcerptCut, text: str) -> list[Any]:
    """An excerpt without its headings."""
    return [cut.kind, cut.start, cut.end, _unless_there(cut, text), cut.lead, cut.terms]


def decode_excerpt(
    text: str, headings: tuple[str, ...], kind: Any, start: int, end: int, *more: Any
) -> ExcerptCut:
    """The excerpt that was encoded."""
    own, lead, terms = more
    own = text[start:end] if own is None else own
    return ExcerptCut(kind, headings, start, end, own, lead, terms)


def _unless_there(cut: PassageCut | ExcerptCut, text: str) -> str | None:
    """The text of a cut that is not just the document's text at its place."""
    return None if cut.text == text[cut.start : cut.end] else cut.text

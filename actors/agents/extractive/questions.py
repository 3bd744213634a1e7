"""From the clauses of a task to the questions that are searched.

Rule: a question that leans on another ("how does that differ from threads?") is searched with the
subject of that other, its own words first. Statements next to questions are not searched; they are
what questions lean on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from actors.agents.extractive.clauses import Clause
from actors.agents.extractive.comparisons import Side, enumerated, side_by_side
from actors.agents.extractive.intents import EMPTY, is_weak, names_nothing, search_words
from actors.agents.extractive.orders import asked
from actors.runtime.cooperative import Cooperative
from actors.tasks.planning import QuestionDraft, as_heading
from actors.tasks.words import terms, word_set

_LEANS = re.compile(
    r"\b(?:it|its|they|them|their|theirs|these|those|this|both|each|ones|one(?!\s+(?!is|are|was|should|to|do|does|can|could|would|of|for|or|and)\w)|the (?:two|latter|"
    r"former|"
    r"same|other)|there)\b|\b(?:does|do|is|are|did|can|will|would|should|of|with|from|about|than|"
    r"to|for|like|use|and)\s+that\b(?!\s+(?:the|a|an|it|they|we|i|you)\b)",
    re.IGNORECASE,
)
_PLURAL = re.compile(r"\b(?:they|them|their|these|those|both|each)\b", re.IGNORECASE)
_MAX_COMPARED = 400
_MAX_SUBJECT = 6
_MANY_WORDS = 3
_VERBS_OF_ASKING = word_set("difference differences differ different compare compared")


def questions(
    clauses: list[Clause], before: Sequence[Clause] = ()
) -> Cooperative[list[QuestionDraft]]:
    """The questions in their order, each once; they may lean on the clauses `before` them."""
    drafts: list[QuestionDraft] = []
    subjects: list[tuple[str, ...]] = []
    for clause in before:
        subjects += filter(None, [_subject(clause, _own(clause))])
        yield
    if subjects:  # What is short leans on them.
        clauses = [replace(clause, first=False) for clause in clauses]
    several = False
    anything_asked = any(clause.asks for clause in clauses)
    for clause in clauses:
        own = _own(clause)
        if clause.asks or not anything_asked:
            meant = subjects[-2:] if _PLURAL.search(clause.text) else subjects[-1:]
            if not drafts or not names_nothing(asked(clause.text), of_several=several):
                made = _of(clause, _merged(*meant))
                several = several or len(made) > 1
                drafts += made
        if not subjects or not _leans(clause, own):
            subjects += filter(None, [_subject(clause, own)])
        yield
    each: dict[tuple[str, ...], QuestionDraft] = {}
    for draft in drafts:
        each.setdefault(draft.query_terms or (draft.text,), draft)
    return list(each.values())


def _of(clause: Clause, subject: tuple[str, ...]) -> list[QuestionDraft]:
    """The questions of one clause: one, or one for each thing that it sets side by side."""
    text = asked(clause.text)
    above = _above(clause)
    short = text if len(text) <= _MAX_COMPARED else ""
    if compared := side_by_side(short):
        return [_side(clause, side, compared, above) for side in compared]
    if listed := enumerated(short):
        return [_side(clause, side, (), above) for side in listed]
    leans = _leans(clause, _own(clause))
    shown = as_heading(text)
    if clause.opening:
        shown = f"{clause.opening}, {shown[:1].lower() + shown[1:]}"
    lent, aside = (subject, ()) if leans else ((), subject)
    own, weak = _told_apart(_own(clause))
    aside = _merged(aside, weak, search_words(text))
    return [_draft(shown, _merged(own, above, lent), aside)]


def _side(
    clause: Clause, side: Side, beside: tuple[Side, ...], above: tuple[str, ...]
) -> QuestionDraft:
    """One of several things. The names of the others, and what is said of all, tell where to look."""
    opening = clause.opening[:1].lower() + clause.opening[1:]
    own = _merged(tuple(terms(side.thing)), above)
    others = [word for other in beside for word in terms(other.thing)]
    aside = _merged(tuple(others), tuple(terms(side.of_all)))
    return _draft(as_heading(f"{side.text} {opening}".strip()), own, aside)


def _told_apart(own: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words that name a subject, and those that say what is asked about it ("changed")."""
    weak = tuple(word for word in own if is_weak(word))
    telling = tuple(word for word in own if word not in weak)
    return (telling, weak) if telling else (own, ())


def _draft(text: str, words: tuple[str, ...], aside: tuple[str, ...]) -> QuestionDraft:
    return QuestionDraft(text, words, tuple(word for word in aside if word not in words))


def _own(clause: Clause) -> tuple[str, ...]:
    return tuple(terms(asked(clause.text)))


def _above(clause: Clause) -> tuple[str, ...]:
    return tuple(w for w in terms(f"{clause.opening} {asked(clause.lead)}") if w not in EMPTY)


def _subject(clause: Clause, own: tuple[str, ...]) -> tuple[str, ...]:
    """What a later clause may call "it"."""
    words = tuple(word for word in own if word not in EMPTY | _VERBS_OF_ASKING)
    return _merged(words, _above(clause))[:_MAX_SUBJECT]


def _leans(clause: Clause, own: tuple[str, ...]) -> bool:
    """Whether a clause leans on one before it: by a pronoun, or by having few words of its own."""
    if not clause.first and len(own) < _MANY_WORDS:
        return True
    found = _LEANS.search(clause.text)
    if not found:
        return False
    return len(terms(asked(clause.text[: found.start()]))) < _MANY_WORDS


def _merged(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for group in groups for word in group))

"""The words of a text that carry its meaning.

Rule: a word here is what the library's index takes for one: a run of letters and digits, in lower
case; only a number with points in it ("3.11") stays one word. Nothing depends on the machine's locale or on the order of a set.
"""

from __future__ import annotations

import re

from actors.agents.extractive.stemming import stem

_WORD = re.compile(r"\d+(?:\.\d+)+(?![^\W_])|[^\W_]+")
_HYPHENATED = re.compile(r"(?<![\w-])[^\W\d_]+-[^\W\d_]+(?![\w-])")
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_POSSESSIVE = re.compile(r"['’]\w{1,2}\W*$")


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set, for tables of words that read like text."""
    return frozenset(text.split())


STOPWORDS = word_set(
    # articles, pronouns, determiners
    "a an the i me my mine we us our ours you your yours he him his she her hers it its they them "
    "their theirs this that these those one ones each every either neither both all any some no "
    "none own such several various same other others another what which who whom whose myself yourself itself "
    # prepositions and conjunctions
    "of in on at by for with without from to into onto about as than between among over under per "
    "via upon within during through across against toward towards and or but nor so if then else "
    "because while whereas although though unless until since whether vs versus "
    # auxiliaries and the emptiest verbs
    "is are was were be been being am do does did done doing have has had having can could will "
    "would shall should may might must ought get gets got getting gotten let lets "
    "need needs want wants "
    # question words and adverbs that only lean on others
    "how why when where there here not only also just very too more most much many less few lot "
    "lots really quite rather etc eg ie again still yet ever please actually basically simply "
    "exactly generally usually often well s t d ll ve re m don doesn didn isn aren wasn won"
)
"""Words that say nothing of what a text is about."""


def words(text: str) -> list[str]:
    """Every word of the text, in lower case."""
    return _WORD.findall(text.lower())


def content_words(text: str) -> list[str]:
    """The words that carry meaning, in their order, each once."""
    return list(dict.fromkeys(word for word in words(text) if word not in STOPWORDS))


def terms(text: str) -> list[str]:
    """What to search for: as `content_words`, but names such as "os.path" or "I/O" stay whole."""
    found: dict[str, None] = {}
    for token in text.lower().split():
        parts = words(token)
        if len(parts) > 1 and not _POSSESSIVE.search(token):
            found[_EDGES.sub("", token)] = None
        elif parts:
            found.update(dict.fromkeys(content_words(token)))
    return list(found)


def stems(text: str) -> list[str]:
    """The stems of the words that carry meaning, in their order, with repeats.

    After them those of words with a hyphen as one: "sub-command" is "subcommand" too.
    """
    found = [stem(word) for word in words(text) if word not in STOPWORDS]
    return found + [stem(word.replace("-", "")) for word in _HYPHENATED.findall(text.lower())]

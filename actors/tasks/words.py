"""The words of a text that carry its meaning, and their stems.

Rule: a word here is what the library's index takes for one: a run of letters and digits, in lower
case; only a number with points in it ("3.11") stays one word. Stemming is the algorithm of FTS5's
porter tokenizer, so that "cancelled" matches "cancellation" here exactly if it does in the library.
Nothing depends on the machine's locale or on the order of a set.

Source: M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, pages 130-137.
"""

from __future__ import annotations

import re
from functools import lru_cache

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


_STEP_2 = (
    *(("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize")),
    *(("abli", "able"), ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous")),
    *(("ization", "ize"), ("ation", "ate"), ("ator", "ate"), ("alism", "al"), ("iveness", "ive")),
    *(("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"), ("iviti", "ive"), ("biliti", "ble")),
)
_STEP_3 = (
    *(("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic")),
    *(("ful", ""), ("ness", "")),
)
_STEP_4 = (  # longest first
    *("ement", "ance", "ence", "able", "ible", "ment", "sion", "tion", "ant", "ent", "ism", "ate"),
    *("iti", "ous", "ive", "ize", "al", "er", "ic", "ou"),
)
_MEASURE = re.compile(r"v+c+")
_LATIN = re.compile(r"[a-z]{3,}")


def _shape(stem: str) -> str:
    """The stem as consonants and vowels, as Porter's conditions need it: "trouble" is ccvvccv."""
    shape = ""
    for letter in stem:
        vowel = letter in "aeiou" or (letter == "y" and shape[-1:] == "c")
        shape += "v" if vowel else "c"
    return shape


def _measure(stem: str) -> int:
    return len(_MEASURE.findall(_shape(stem)))


def _ends_cvc(stem: str) -> bool:
    return _shape(stem).endswith("cvc") and stem[-1] not in "wxy"


def singular(word: str) -> str:
    """A lower-case word without its plural ending: the first step of the algorithm."""
    if word.endswith(("sses", "ies")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        stem = word.removesuffix(suffix)
        if stem != word and "v" in _shape(stem):
            return _mended(stem)
    return word


def _mended(stem: str) -> str:
    """The stem with the letter that "-ed" and "-ing" took, or without the one that they added."""
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    doubled = len(stem) > 1 and stem[-1] == stem[-2] and _shape(stem)[-1] == "c"
    if doubled and stem[-1] not in "lsz":
        return stem[:-1]
    return stem + "e" if _measure(stem) == 1 and _ends_cvc(stem) else stem


def _replaced(word: str, table: tuple[tuple[str, str], ...]) -> str:
    for suffix, other in table:
        if word.endswith(suffix):
            stem = word.removesuffix(suffix)
            return stem + other if _measure(stem) > 0 else word
    return word


def _bare(word: str) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            stem = word.removesuffix(suffix) + (suffix[0] if suffix in ("sion", "tion") else "")
            return stem if _measure(stem) > 1 else word
    return word


def _tidied(word: str) -> str:
    if word.endswith("e"):
        stem = word[:-1]
        if _measure(stem) > 1 or (_measure(stem) == 1 and not _ends_cvc(stem)):
            word = stem
    return word[:-1] if word.endswith("ll") and _measure(word) > 1 else word


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """The stem of a lower-case word; a word that is not plain Latin letters is its own stem."""
    if not _LATIN.fullmatch(word):
        return word
    word = _past(singular(word))
    if word.endswith("y") and "v" in _shape(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(_replaced(word, _STEP_2), _STEP_3)
    return _tidied(_bare(word))

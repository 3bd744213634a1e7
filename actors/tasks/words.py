"""Words of any language: folding, terms and stems, the same for documents and queries.

    "Der Aufzug, 3. Stock"  ->  der aufzug 3 stock          (folded words)
    "東京都の鍵"              ->  東京 京都 都の の鍵            (bigrams: no blanks between words)

Rule: what is indexed and what is searched goes through `terms`, so that a word matches however it is
written: composed or decomposed, with or without accents, vowel points, soft hyphens, capitals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_LETTERS = {"ł": "l", "ø": "o", "đ": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe"}
"""Letters that Unicode does not take apart into a letter and a mark."""
_LETTER_OR_DIGIT = re.compile(f"[{''.join(_LETTERS)}]|[^\\D0-9]")
"""One of these letters, or a digit that is not in ASCII."""
_MARKS = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0640]"
)
"""Accents, vowel points and the Arabic tatweel. Marks of Indic scripts and kana are letters."""

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
)
"""Scripts that put no blanks between words. Hangul does, but endings stick to its words."""
_HANGUL = "\uac00-\ud7a3"
_RUN = re.compile(f"[{_UNSPACED}]+|[{_HANGUL}]+")
_WORD = re.compile(
    f"[{_UNSPACED}]+|[{_HANGUL}]+|\\d+(?:[.,]\\d+)+(?![^\\W_])|(?:(?![{_UNSPACED}{_HANGUL}])[^\\W_])(?:(?![{_UNSPACED}{_HANGUL}])[^\\W_]|[\u0900-\u0dff\u0f00-\u0fff])*"
)
_JOINT = re.compile(r"[-'’]")
_JOINED = re.compile(r"(?<![\w'’-])[^\W\d_]{1,12}[-'’][^\W\d_]{1,12}(?![\w'’-])")
_ASCII_WORD = re.compile(r"\d+(?:[.,]\d+)+(?![^\W_])|[^\W_]+")
"""As `_WORD`, for text in ASCII, which is most of it."""
_WRITTEN = re.compile(r"\w+(?:[-'’.]\w+)*")
_COMPOUND = re.compile(r"[^\W_]+(?:[._:/@+#-]+[^\W_]+)+")

MAX_STEM = 8
"""Letters kept of a long word. Endings and compounds of most languages differ after these."""

_STOP_WORDS = """
a about above after again all also am an and any are as at be because been before being below both
but by can could did do does doing down during each either few for from further get had has have
having he her here hers him his how i if in into is it its just let like may me might more most much
must my no nor not now of off on once only or other our out over own per please same shall she should
so some such tell than that the their them then there these they this those through to too under
until up upon us use used uses using very was we were what when where which while who whom whose why
will with within without would you your explain describe

aber als am an auch auf aus bei bin bis das dass dem den der des die doch du durch ein eine einem
einen einer es fur hab habe haben hat ich ihr im in ist kann man mein meine meinen meiner mit muss
mussen nach nicht noch oder sein sich sie sind so soll sollte viel viele welche welcher welches
uber um und uns vom von vor wann warum was wenn wer werden wie wir wird wo zu zum zur

au aux avec ce ces cette comment dans de des du elle en est et il ils je la le les leur mais ne nous
on ou par pas plus pour pourquoi qu quand que quel quelle qui quoi sa se ses son sont sur un une vous

al como con cual cuando de del donde e el ella en es esta este hay la las lo los mas mi no o para pero
por porque que quien se si sin son su sus tiene un una y ya

che chi ci come con da dal dei del della di dove gli i il in l le lo ma mi ne nel nella non o per
perche piu quale quando quanto si sono su tra un una uno

ao com como da das de do dos em eu mais na nao nas no nos o os ou para pela pelo por quando que quem se
sem seu sua sao um uma

aan als bij dat de deze die dit een en er het hoe ik in is je kan met naar niet om op te uit van voor
waar waarom wanneer wat we wie wordt zijn

att av den det du ett for fran har hur i inte jag med nar och om pa som till var varfor vad vi

co czy dla do gdzie i jak jest kiedy kto na nie o od po przez sie to w z ze
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Function words of common languages, folded. They weigh little in a query; documents keep them."""

SHORT_WORD = 3
STOP_WEIGHT, SHORT_WEIGHT = 0.05, 0.5


def fold(text: str) -> str:
    """The text without differences that people do not mean: NFKC, case, accents, invisible marks."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)).casefold()
    text = unicodedata.normalize("NFC", _MARKS.sub("", text))
    return _LETTER_OR_DIGIT.sub(_plain, text)


def _plain(found: re.Match[str]) -> str:
    return _LETTERS.get(found[0]) or str(unicodedata.decimal(found[0]))


def words(text: str) -> list[str]:
    """The folded words in order. A run of Chinese, Japanese, Korean or Thai is cut into bigrams."""
    return _words(fold(text))


def _words(folded: str) -> list[str]:
    if folded.isascii():
        return _ASCII_WORD.findall(folded)
    found: list[str] = []
    for word in _WORD.findall(folded):
        if _RUN.fullmatch(word) and len(word) > 1:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A folded word without a plain English ending, cut to `MAX_STEM` letters.

    Rough on purpose: words of other languages keep what tells them apart, and a wrong stem is the same
    for documents and queries.
    """
    if len(word) > SHORT_WORD and word.isascii() and word.isalpha():
        word = _without_ending(word)
    return word if len(word) <= MAX_STEM or any(map(str.isdigit, word)) else word[:MAX_STEM]


def _without_ending(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        if (
            word.endswith(ending)
            and len(word) - len(ending) >= 3
            and _has_vowel(word[: -len(ending)])
        ):
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    if (
        word.endswith("ll") and len(word) > 5
    ):  # "cancelling" and "cancel", "controlled" and "control"
        return word[:-1]
    return word[:-1] if word.endswith("e") and len(word) > SHORT_WORD else word


def _has_vowel(letters: str) -> bool:
    return any(letter in "aeiouy" for letter in letters)


def terms(text: str) -> list[str]:
    """The stems of all words, in order: what is indexed of a text.

    Last come further forms: "e-mail" as one word, and the last letter of each run of Chinese,
    Japanese, Korean or Thai, so that a query of one letter finds every place of it by prefix.
    """
    folded = fold(text)
    found = [stem(word) for word in _words(folded)]
    found += [stem(word) for word in _joined(folded)]
    return found if folded.isascii() else [*found, *(run[-1] for run in _RUN.findall(folded))]


def _joined(folded: str) -> list[str]:
    """Words written with a hyphen or an apostrophe, as one word: "email", "dont"."""
    if not _JOINT.search(folded):  # Most texts: several times faster.
        return []
    return [_JOINT.sub("", word) for word in _JOINED.findall(folded)]


def query_terms(text: str) -> dict[str, float]:
    """The terms of a query, each with its weight from 0 to 1 before rarity counts.

    Function words weigh `STOP_WEIGHT`, other short words of spaced scripts `SHORT_WEIGHT`, unless they
    hold a digit or are written with a capital inside a sentence or throughout ("GIL", "iOS").
    """
    written = re.findall(r"\w+", text)
    names = {fold(name) for name in written if name[1:] != name[1:].lower()}
    found: dict[str, float] = {}
    for word in (*words(text), *_joined(fold(text))):
        found[stem(word)] = max(found.get(stem(word), 0.0), _weight(word, names))
    return found


def _weight(word: str, names: set[str]) -> float:
    if word in names or any(c.isdigit() for c in word):
        return 1.0
    if word in STOP_WORDS:
        return STOP_WEIGHT
    return SHORT_WEIGHT if len(word) <= SHORT_WORD and not _RUN.fullmatch(word) else 1.0


def is_letter_of_run(term: str) -> bool:
    """Whether a term is one letter of a script without blanks, which is indexed in bigrams."""
    return len(term) == 1 and _RUN.fullmatch(term) is not None


def telling_terms(text: str) -> list[str]:
    """The terms of a query that are no function words, each once; all of them if there are no others."""
    weights = query_terms(text)
    return [term for term, weight in weights.items() if weight > STOP_WEIGHT] or list(weights)


def compounds(text: str) -> list[tuple[str, ...]]:
    """Names of several parts, such as `asyncio.TaskGroup` or "sub-command", as their terms."""
    found = [tuple(terms(name)) for name in _COMPOUND.findall(text)]
    return [parts for parts in dict.fromkeys(found) if len(parts) > 1]


def words_with(found: frozenset[str], text: str) -> tuple[str, ...]:
    """The words of a text, as they are written there, that have one of these terms.

    Runs of Chinese, Japanese, Korean or Thai are left out: where their words end is not known.
    """
    written = (word for word in _WRITTEN.findall(text) if not _RUN.search(word))
    return tuple(dict.fromkeys(word for word in written if not found.isdisjoint(terms(word))))


def term_set(texts: Iterable[str]) -> frozenset[str]:
    """The terms of several texts, as a set."""
    return frozenset(term for text in texts for term in terms(text))

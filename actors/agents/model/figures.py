"""How many sentences of a text have a source.

Rule: only prose counts. Headings, code and what has fewer than three words state nothing. Whatever
the text is, the work grows with its length and no faster.
"""

from __future__ import annotations

import re

from actors.library.sentences import each_sentence
from actors.runtime.cooperative import Cooperative

_FENCE = re.compile(r"^```[^`\n]*$", re.MULTILINE)
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?[^`]\1(?!`)")
_HEADING = re.compile(r"^[^\S\n]*+#{1,6}\s.*$", re.MULTILINE)
_ITEM = re.compile(r"^[^\S\n]*+(?:[-*+•>|]|\d{1,3}[.)])\s+", re.MULTILINE)
_STOP_FIRST = re.compile(r"(?<![.!?。！？])([.!?。！？]++[\"'”’»)]*+)((?:\s*+\[\d[\d, ]*+\])+)")
_CITED = re.compile(r"\[\d[\d, ]*\]")
_WORD = re.compile(r"\w+")
_FEWEST_WORDS = 3
_SENTENCES_AT_ONCE = 16


def sentence_figures(text: str) -> Cooperative[tuple[int, int]]:
    """How many sentences of a checked text are cited, and how many are not."""
    unfenced = "\n".join(_FENCE.split(text)[::2])  # In a checked text fences come in pairs.
    prose = _CODE.sub("code", _HEADING.sub("\n", unfenced))
    prose = _ITEM.sub("\n\n", prose)
    cited = uncited = 0
    # "Frogs sing. [1]" cites as "Frogs sing [1]." does.
    for number, sentence in enumerate(each_sentence(_STOP_FIRST.sub(r"\2\1", prose))):
        if number % _SENTENCES_AT_ONCE == 0:
            yield
        if _CITED.search(sentence):
            cited += 1
        elif len(_WORD.findall(sentence)) >= _FEWEST_WORDS:
            uncited += 1
    return cited, uncited

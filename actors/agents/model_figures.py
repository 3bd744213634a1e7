"""How many sentences of a text have a source.

Rule: only prose counts. Headings, code and what has fewer than three words state nothing.
"""

from __future__ import annotations

import re

from actors.knowledge.sentences import sentences

_FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(?<!`)(`+)(?!`).*?[^`]\1(?!`)")
_HEADING = re.compile(r"^\s*#{1,6}\s.*$", re.MULTILINE)
_ITEM = re.compile(r"^\s*(?:[-*+•>|]|\d{1,3}[.)])\s+", re.MULTILINE)
_STOP_FIRST = re.compile(r"([.!?。！？]+[\"'”’»)]*)((?:\s*\[\d[\d, ]*\])+)")
_CITED = re.compile(r"\[\d[\d, ]*\]")
_WORD = re.compile(r"\w+")
_FEWEST_WORDS = 3


def sentence_figures(text: str) -> tuple[int, int]:
    """How many sentences of a checked text are cited, and how many are not."""
    prose = _CODE.sub("code", _HEADING.sub("\n", _FENCED.sub("\n", text)))
    prose = _ITEM.sub("\n\n", prose)
    cited = uncited = 0
    # "Frogs sing. [1]" cites as "Frogs sing [1]." does.
    for sentence in sentences(_STOP_FIRST.sub(r"\2\1", prose)):
        if _CITED.search(sentence):
            cited += 1
        elif len(_WORD.findall(sentence)) >= _FEWEST_WORDS:
            uncited += 1
    return cited, uncited

"""Which sentences make sense by themselves, and which lean on what stands before them.

Rule: told by how a sentence is built, not by its subject; in doubt it does not stand.
"""

from __future__ import annotations

import re

from actors.tasks.words import STOPWORDS, word_set, words

MIN_WORDS = 5
MAX_WORDS = 60
MAX_LETTERS = 1_000

_ENDS = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")
_BEGINS = re.compile(r"[\"'“‘«]?(?:[^\W_a-z]|[a-z]+[\d._(]\w*|[a-z]+[A-Z]\w*)")
_NOT_PROSE = re.compile(
    r">>>|(?<!\w)\[\d+\]|\.\.\. |::|[{}=]{2}|[|<>]{2}|\\n|¶|https?://\S{40}|\w{45}|"
    r"\s[=+*/|]\s.*\s[=+*/|]\s"
)
_MARKUP = re.compile(r"^\s*[#>]|```|~~~|!\[|\]\(|<[A-Za-z/!?]|(?<!\w)\[\d+\]")
_POINTS_ELSEWHERE = re.compile(
    r"\b(?:(?:the|this|these|our|previous|next|above|last|first|second) (?:following|above|below|"
    r"(?:code |previous |next |last |first |simple |small )*(?:example|examples|section|sections|"
    r"chapter|table|figure|listing|snippet|page|paragraph|recipe|tutorial|document)s?)\b(?! of)|"
    r"(?:as|see|shown|described|listed|mentioned|discussed|example|given|documented) (?:above|"
    r"below|here|later)|"
    r"following|as follows|see also|refer to|example:|this (?:document|section|page|chapter|howto)|"
    r"in (?:this|our) case)\b|^(?:see|below|above|for (?:more|further|an?|full|details)|"
    r"read more)\b",
    re.IGNORECASE,
)
_ITSELF = r"(?:module|package|library|book|guide|standard|specification|framework|tool|project|pep)"
_LEANS = re.compile(
    rf"^(?:this(?! {_ITSELF}\b)|that|these|those|it(?! (?:is|was|can be|may be|might be|would be) (?:\w+ly )?\w+ (?:to|that|for)\b)|its|they|their|them|he|she|his|her|such|"
    rf"however|but|and|or|so|"
    r"also|thus|hence|therefore|then|otherwise|instead|furthermore|moreover|additionally|"
    r"similarly|likewise|nevertheless|nonetheless|still|yet|consequently|accordingly|"
    r"for (?:example|instance|this reason|these reasons)|in (?:this|that|these|such|other|"
    r"contrast|addition|particular|fact|both|either|the general case|the (?:latter|former|first|second|same))|"
    r"on the other hand|as a (?:result|consequence)|as such|another|a similar|similar(?=\s)|"
    r"the (?:latter|former|above|"
    r"same|other|second|third|next|last|result|example|reason|output|first (?:one|form))|here|now|"
    r"both|neither|either|one of (?:these|them)|some of|if (?:so|not|it|this|that|they)|"
    r"when (?:it|this|that|they)|because (?:it|this|of this|they)|since (?:it|this|they)|"
    r"while (?:it|this|they)|unlike (?:it|this|that)|after (?:this|that)|again|finally|first|next|"
    r"second|third|secondly|lastly|to do (?:this|so)|note that (?:this|it|these|they)|there(?=,)|"
    r"by (?:doing (?:this|so)|contrast)|with this|at this point|all (?:of )?(?:these|this|those)|"
    r"each of (?:these|them)|we|let's|let us|sure|yes|no|ok|well|why|suppose|"
    r"\S+ (?:\S+ )?(?:it|them|this|these|so|one)(?=[ ,])|"
    r"(?:changed|new|added|deprecated) (?:in|since) version)\b",
    re.IGNORECASE,
)
_LEANS_INSIDE = re.compile(
    r"^(?:\S+\s){0,7}?\S*,? (?:on the other hand|however|therefore|in contrast|by contrast|instead|"
    r"for example|for instance|as well|too|though|then|thus|hence|consequently),",
    re.IGNORECASE,
)
_DEICTIC = re.compile(
    r"\b(?:this|these|that) (?:first |second |last |same |new )?(?:functions?|methods?|"
    r"class(?:es)?|attributes?|options?|arguments?|"
    r"parameters?|values?|flags?|events?|handlers?|objects?|calls?|settings?|fields?|types?|"
    r"exceptions?|errors?|behaviou?rs?|features?|modes?|members?|macros?|variables?|constants?|"
    r"commands?|formats?|keys?|entr(?:y|ies)|codes?|approach|way|tests?|names?|strings?|lists?)\b",
    re.IGNORECASE,
)
_LEANING = (_LEANS, _LEANS_INSIDE, _DEICTIC)
_ADVICE = re.compile(
    r"(?:never|always|only|do not|don['’]t|consider|avoid|prefer|use|ensure|keep|remember|beware|"
    r"choose|try|make sure|be (?:aware|careful|sure)|treat|store|call|pass|set|add|start|stop)\b",
    re.IGNORECASE,
)
_ANNOUNCES = re.compile(r":[\"'”’»)\]]*$")
_LABELLED = re.compile(r"(?:\S+\s){0,4}?\S+:\s[A-Z]")
_RELATIVE = re.compile(
    r"(?<![\w-])(?:which|that|who|whose|where|to|for|if|when|unless|while)(?![\w-])"
)
_BARE_ORDER = re.compile(
    r"(?:return|raise|set|get|call|create|wait|run|default|change|request|construct|convert|print|"
    r"open|read|write|add|remove|test|check|emit|indicate|specify|modify|accept|attempt|take|try|"
    r"load|send|close|initiali[sz]e|schedule|register|perform|seriali[sz]e|deseriali[sz]e|compute|"
    r"compare|copy|delete|drop|replace|start|stop|find|format|use|contain|represent|include|allow|"
    r"improve|fix|rename|deprecate|move|support|append|insert|enable|disable|update|handle|flush|"
    r"concrete|base|abstract|like|same as|equivalent to|similar to|useful|mostly|specifies|tries|"
    r"modifies|copies|currently|availability)(?:s|es|d|ed|ped|ted|ned)?\b",
    re.IGNORECASE,
)
_VERBS = word_set(
    "is are was were be been being has have had do does did can could will would may might must "
    "should shall cannot isn aren doesn don won"
)
_VERB_LIKE = re.compile(
    r"[a-z]{2,}(?:s|ed)|let|put|set|run|make|give|need|want|allow|help|use|work"
)
_SUBORDINATE = re.compile(
    r"(?:in|to|for|when|if|as|by|while|unless|since|because|although|with|without|on|at|from|"
    r"after|before|once|where|what|note|most|each|every|anything|everything|all|those|instead)\b",
    re.IGNORECASE,
)


def is_citable(text: str) -> bool:
    """Whether this is a whole sentence of prose that does not point at something left out."""
    return _is_prose(text) and bool(_ENDS.search(text)) and not _POINTS_ELSEWHERE.search(text)


def is_markup(text: str) -> bool:
    """Whether a report's readers would take some of this for more than text, or for a citation."""
    return bool(_MARKUP.search(text)) or text.count("`") % 2 == 1


def announces(text: str) -> bool:
    """Whether this is a sentence that ends with a colon, and so is whole with what follows it."""
    return _is_prose(text) and bool(_ANNOUNCES.search(text))


def leans(text: str) -> bool:
    """Whether a sentence does not make sense without the one before it."""
    return any(pattern.search(text) for pattern in _LEANING)


def is_bare(text: str) -> bool:
    """Whether it names no subject, like the first sentence of a function's documentation."""
    return bool(_BARE_ORDER.match(text))


def _is_prose(text: str) -> bool:
    return (
        len(text) <= MAX_LETTERS
        and MIN_WORDS <= len(text.split()) <= MAX_WORDS
        and bool(_BEGINS.match(text))
        and not _NOT_PROSE.search(text)
        and not is_markup(text)
        and not _LABELLED.match(text)
        and _is_balanced(text)
        and _has_verb(text)
    )


def _is_balanced(text: str) -> bool:
    return (
        text.count("(") == text.count(")")
        and text.count("[") == text.count("]")
        and text.count("“") == text.count("”")
        and text.count('"') % 2 == 0
        and text.count("`") % 2 == 0
    )


def _has_verb(text: str) -> bool:
    """Whether something like a verb stands before the first relative clause: a guess by endings."""
    if not any(letter.isascii() and letter.isalpha() for letter in text):
        return True  # Another script: what a verb looks like there is not known here.
    if _ADVICE.match(text):
        return True
    if _SUBORDINATE.match(text):
        head = words(text)
    else:
        head = words(_RELATIVE.split(text, maxsplit=1)[0])
    lexical = (word for word in head[1:] if word not in STOPWORDS)
    return any(w in _VERBS for w in head) or any(_VERB_LIKE.fullmatch(w) for w in lexical)

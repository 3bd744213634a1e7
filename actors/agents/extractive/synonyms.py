"""Plain words that mean nearly the same, whatever a text is about.

Rule: only words that people exchange for one another when they ask ("fastest", "most efficient");
none that belongs to one subject.
"""

from __future__ import annotations

from actors.tasks.words import stem

_GROUPS = (
    "fast faster fastest quick quickly rapid speed efficient efficiently efficiency",
    "error errors exception exceptions failure failures fault faults",
    "delete remove erase drop discard",
    "stop end terminate kill abort halt quit",
    "cancel abort interrupt",
    "start begin launch",
    "run execute invoke launch",
    "show display print",
    "repair fix resolve",
    "change modify alter edit update",
    "create build make construct",
    "write create define implement",
    "choose select pick",
    "big large huge",
    "small little tiny",
    "danger dangerous risk risks hazard threat unsafe insecure vulnerable vulnerability",
    "secure security insecure safe safer safety unsafe",
    "join concatenate combine merge",
    "split divide separate",
    "save store persist",
    "limit bound maximum",
    "allow permit enable",
    "forbid prohibit disallow",
    "buy purchase",
    "price cost costs",
    "holiday vacation leave",
    "ill sick illness sickness",
    "staff employee employees",
    "phone telephone",
    "copy duplicate copies duplicates",
    "folder directory directories",
)


def _table() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for group in _GROUPS:
        same = {stem(word) for word in group.split()}
        for word in same:
            found.setdefault(word, set()).update(same)
    return {word: frozenset(same) for word, same in found.items()}


_SYNONYMS = _table()


def synonyms(word: str) -> frozenset[str]:
    """The stems that mean nearly what this one means, itself among them."""
    return _SYNONYMS.get(word, frozenset((word,)))

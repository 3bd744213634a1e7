"""Finding the documents in files and folders.

Rule: the same paths give the same files in the same order. A file is found once however many ways
lead to it, hidden files and folders are passed over, and no loop of links is walked twice.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from actors.library.parsing.media_types import SUFFIXES, media_type_of_file

KINDS = ", ".join(SUFFIXES)

SECOND_COPIES = frozenset({"_sources"})
"""Folders in which a documentation builder (Sphinx) keeps each of its pages again, as markup."""


@dataclass(slots=True)
class FoundFiles:
    """What a walk came to: files to read, what cannot be read and why, endings passed over.

    `urls` are the pages that are to be read beside them.
    """

    files: list[Path] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)


def find_documents(
    paths: Iterable[Path], max_bytes: int, check: Callable[[], object] = lambda: None
) -> FoundFiles:
    """Walk the paths. `check` is called at each entry and may raise to stop the walk."""
    walk = _Walk(max_bytes, check)
    for path in paths:
        walk.enter(path, named=True)
    return walk.found


class _Walk:
    def __init__(self, max_bytes: int, check: Callable[[], object]) -> None:
        self.found = FoundFiles()
        self._max_bytes = max_bytes
        self._check = check
        self._seen: set[tuple[int, int]] = set()

    def enter(self, path: Path, *, named: bool = False) -> None:
        """Take a path in. What the person named is told when it is not read; the rest counted."""
        self._check()
        try:
            status = path.stat()
            if (identity := (status.st_dev, status.st_ino)) in self._seen:
                return
            self._seen.add(identity)
            if stat.S_ISDIR(status.st_mode):
                for name in sorted(os.listdir(path)):
                    if name in SECOND_COPIES:
                        self.found.passed_over[f"{name} folder"] += 1
                    elif not name.startswith("."):
                        self.enter(path / name)
                return
        except OSError as error:
            self.found.unreadable.append((path, error.strerror or str(error)))
            return
        self._file(path, status, named)

    def _file(self, path: Path, status: os.stat_result, named: bool) -> None:
        if media_type_of_file(path) is None:
            if named:
                ending = path.suffix or "no ending"
                reason = f"{ending} is not among the kinds that are read: {KINDS}"
                self.found.unreadable.append((path, reason))
            else:
                self.found.passed_over[path.suffix.lower() or "no ending"] += 1
        elif not _is_utf_8(path):
            self.found.unreadable.append((path, "Its name is not UTF-8"))
        elif not stat.S_ISREG(status.st_mode):
            self.found.unreadable.append((path, "It is not a regular file"))
        elif status.st_size > self._max_bytes:
            reason = f"{status.st_size:,} bytes, where {self._max_bytes:,} are the limit"
            self.found.unreadable.append((path, reason))
        else:
            self.found.files.append(path)


def _is_utf_8(path: Path) -> bool:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True

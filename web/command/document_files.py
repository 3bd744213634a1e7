"""Find the documents in files and folders.

Rule: the same paths give the same files in the same order. Each file is found once, even if several
paths or links lead to it. Hidden files and folders are skipped, and loops of links end.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from actors.library.parsing.media_types import SUFFIXES, media_type_of_file

SUPPORTED = ", ".join(SUFFIXES)

SKIPPED_FOLDERS = frozenset({"_sources"})
"""Sphinx keeps a second copy of each page there, as markup."""


@dataclass(slots=True)
class FoundFiles:
    """The files to add, those that cannot be read and why, and counts of skipped files by type.

    `urls` are the web pages to add along with the files.
    """

    files: list[Path] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All files and pages but the skipped ones."""
        return len(self.files) + len(self.urls) + len(self.unreadable)


def find_documents(
    paths: Iterable[Path], max_bytes: int, check: Callable[[], object] = lambda: None
) -> FoundFiles:
    """Walk the paths. `check` is called at each entry and may raise to stop the walk."""
    walk = _Walk(max_bytes, check)
    for path in paths:
        walk.visit(path, named=True)
    return walk.found


class _Walk:
    def __init__(self, max_bytes: int, check: Callable[[], object]) -> None:
        self.found = FoundFiles()
        self._max_bytes = max_bytes
        self._check = check
        self._seen: set[tuple[int, int]] = set()

    def visit(self, path: Path, *, named: bool = False) -> None:
        """Visit a file or folder. `named` means that it was given on the command line."""
        self._check()
        try:
            status = path.stat()
            if (identity := (status.st_dev, status.st_ino)) in self._seen:
                return
            self._seen.add(identity)
            if stat.S_ISDIR(status.st_mode):
                for name in sorted(os.listdir(path)):
                    if name in SKIPPED_FOLDERS:
                        self.found.skipped[f"{name} folder"] += 1
                    elif not name.startswith("."):
                        self.visit(path / name)
                return
        except OSError as error:
            self.found.unreadable.append((path, error.strerror or str(error)))
            return
        self._visit_file(path, status, named)

    def _visit_file(self, path: Path, status: os.stat_result, named: bool) -> None:
        if media_type_of_file(path) is None and not named:
            self.found.skipped[path.suffix.lower() or "no extension"] += 1
        elif problem := self._problem(path, status):
            self.found.unreadable.append((path, problem))
        else:
            self.found.files.append(path)

    def _problem(self, path: Path, status: os.stat_result) -> str | None:
        if media_type_of_file(path) is None:
            kind = f"File type {path.suffix}" if path.suffix else "A file without an extension"
            return f"{kind} is not supported. Supported: {SUPPORTED}"
        if not _is_utf_8(path):
            return "Its name is not UTF-8"
        if not stat.S_ISREG(status.st_mode):
            return "It is not a regular file"
        if status.st_size > self._max_bytes:
            return f"{status.st_size:,} bytes; the limit is {self._max_bytes:,}"
        return None


def _is_utf_8(path: Path) -> bool:
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        return False
    return True

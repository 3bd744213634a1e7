"""Find the documents in files and folders.

Rule: the same paths give the same files in the same order. Each file is found once, even if several
paths or links lead to it. Hidden files and folders are skipped, loops of links end, and what
`web.command.ignored` names is left out. A path that a person gave is read, whatever it is.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from actors.library.parsing.media_types import media_type_of_file
from web.command.ignored import GitIgnore, generated, gitignore_above


@dataclass(slots=True)
class FoundFiles:
    """The files to add, those that cannot be read and why, and counts of skipped files by type.

    `urls` are the web pages to add along with the files. All paths are absolute.
    """

    files: list[Path] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    ignored: dict[Path, str] = field(default_factory=dict)
    """Files and folders that were left out, each with the reason."""
    folders: list[Path] = field(default_factory=list)
    """The folders that were named."""
    missing: list[Path] = field(default_factory=list)
    """What was named and is not there."""

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
        walk.start(absolute(path))
    return walk.found


def absolute(path: Path) -> Path:
    """The path as it is noted as the source of a document."""
    return path.resolve() if ".." in path.parts else path.absolute()


def is_gone(path: Path) -> bool:
    """Whether nothing is at this path; if it cannot be found out, something may be."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


class _Walk:
    def __init__(self, max_bytes: int, check: Callable[[], object]) -> None:
        self.found = FoundFiles()
        self._max_bytes = max_bytes
        self._check = check
        self._seen: set[tuple[int, int]] = set()
        self._folder = Path()

    def start(self, path: Path) -> None:
        """Visit a file or folder that a person named, and all that is in it."""
        if os.path.isdir(path):
            self.found.folders.append(path)
            self._folder = path.resolve()
            waiting = [*self._visit(path, gitignore_above(path), named=True)]
            while waiting:
                waiting += self._visit(*waiting.pop())
        elif is_gone(path):
            self.found.missing.append(path)
        else:
            self._visit(path, GitIgnore(), named=True)

    def _visit(
        self, path: Path, ignore: GitIgnore, *, named: bool = False
    ) -> Sequence[tuple[Path, GitIgnore]]:
        """Visit one file or folder; what is in a folder is to be visited next, from the last."""
        self._check()
        try:
            status = path.stat()
            is_folder = stat.S_ISDIR(status.st_mode)
            if not named and ignore.ignores(path, is_folder=is_folder):
                self.found.ignored[path] = "ignored by .gitignore"
                return ()
            if not named and path.is_symlink() and not self._holds(path.resolve()):
                self.found.ignored[path] = "a link out of the folder"
                return ()
            if (identity := (status.st_dev, status.st_ino)) in self._seen:
                return ()
            names = sorted(os.listdir(path)) if is_folder else []
        except OSError as error:
            self.found.unreadable.append((path, error.strerror or str(error)))
            return ()
        if is_folder and not named and (reason := generated(path, names)):
            self.found.ignored[path] = reason
            return ()
        self._seen.add(identity)
        if not is_folder:
            self._visit_file(path, status, named)
            return ()
        inside = ignore.within(path)
        return [(path / name, inside) for name in reversed(names) if not name.startswith(".")]

    def _holds(self, target: Path) -> bool:
        """Whether the folder that is walked holds this; else nobody has named it."""
        return target.is_relative_to(self._folder)

    def _visit_file(self, path: Path, status: os.stat_result, named: bool) -> None:
        if media_type_of_file(path) is None and not named:
            self.found.skipped[path.suffix.lower() or "no extension"] += 1
        elif problem := self._problem(path, status):
            self.found.unreadable.append((path, problem))
        else:
            self.found.files.append(path)

    def _problem(self, path: Path, status: os.stat_result) -> str | None:
        if not _is_utf_8(path):
            return "Its name is not UTF-8"
        if not stat.S_ISREG(status.st_mode):
            return "It is not a regular file"
        if status.st_size > self._max_bytes:
            return f"{status.st_size:,} bytes; the limit is {self._max_bytes:,}"
        return None


def _is_utf_8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True

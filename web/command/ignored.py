"""Which files and folders of a folder are left out: generated ones, and those that git ignores.

    .gitignore        as git reads it: those of a folder count below it, and the nearest one decides
    node_modules      and other folders that tools fill, by name
    pyvenv.cfg        marks a virtual environment, CACHEDIR.TAG a cache

Rule: what is left out is counted and named, and a file or folder that a person names is read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pathspec import GitIgnoreSpec
from pathspec.patterns.gitignore import GitIgnorePatternError

GENERATED = frozenset(
    {
        *("node_modules", "bower_components", "site-packages", "__pycache__", "__pypackages__"),
        *("venv", "virtualenv", "build", "_build", "dist", "target", "htmlcov"),
    }
)
"""Names of folders that package managers, compilers and test tools fill."""

SPHINX_SOURCES = "_sources"
"""Sphinx keeps a second copy of each page there, as markup."""

VIRTUAL_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
CACHE_TAG, CACHE_SIGNATURE = "CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55"
"""See https://bford.info/cachedir/."""

MAX_GITIGNORE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class GitIgnore:
    """The .gitignore files that count in a folder, the nearest one first."""

    files: tuple[tuple[Path, GitIgnoreSpec], ...] = ()

    def within(self, folder: Path) -> GitIgnore:
        """Those that count inside of `folder`."""
        spec = _read(folder / ".gitignore")
        return GitIgnore(((folder, spec), *self.files)) if spec else self

    def ignores(self, path: Path, *, is_folder: bool) -> bool:
        """Whether git would ignore this path; its parent folders are not ignored."""
        for folder, spec in self.files:
            inner = path.relative_to(folder).as_posix()
            include = spec.check_file(f"{inner}/" if is_folder else inner).include
            if include is not None:
                return include
        return False


def gitignore_above(folder: Path) -> GitIgnore:
    """The .gitignore files above a folder in its git repository.

    None count if they ignore the folder itself: it was named by a person, so it is read.
    """
    parents = _parents_in_repository(folder)
    found = GitIgnore()
    for parent, child in pairwise([*parents, folder]):
        found = found.within(parent)
        if found.ignores(child, is_folder=True):
            return GitIgnore()
    return found


def _parents_in_repository(folder: Path) -> list[Path]:
    """The folders above this one that are in its git repository, outermost first."""
    chain = [folder, *folder.parents]
    for depth, parent in enumerate(chain):
        if os.path.exists(parent / ".git"):
            return chain[depth:0:-1]
    return []


def generated(folder: Path, names: list[str]) -> str | None:
    """What kind of generated folder this is, by its name or the names in it; None for others."""
    if folder.name in GENERATED or folder.name == SPHINX_SOURCES:
        return f"{folder.name} folder"
    if any(name in names for name in VIRTUAL_ENVIRONMENT):
        return "virtual environment"
    if CACHE_TAG in names and _starts_with(folder / CACHE_TAG, CACHE_SIGNATURE):
        return "cache folder"
    return None


def _starts_with(file: Path, signature: bytes) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(len(signature)) == signature
    except OSError:
        return False


def _read(file: Path) -> GitIgnoreSpec | None:
    """The patterns of a .gitignore; None if there is none that can be read."""
    try:
        if not os.path.isfile(file):
            return None
        with file.open("rb") as opened:
            content = opened.read(MAX_GITIGNORE_BYTES)
    except OSError:
        return None
    lines = os.fsdecode(content.removeprefix(b"\xef\xbb\xbf")).split("\n")
    patterns = (line.removesuffix("\r") for line in lines)
    return GitIgnoreSpec.from_lines([line for line in patterns if _is_pattern(line)])


def _is_pattern(line: str) -> bool:
    """Whether a line can be read as a pattern; git passes over the others, too."""
    try:
        GitIgnoreSpec.from_lines([line])
    except GitIgnorePatternError:
        return False
    return True

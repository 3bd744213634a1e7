"""What an ingest has done so far, and the summary that it prints.

Rule: the counts go to stdout as one line. What a person may want to act on goes to stderr, by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from web.command.document_files import FoundFiles
from web.command.output import Exit
from web.service import Outcome
from web.terminal import one_line, say

MAX_ROWS = 100
MAX_NAMES = 20
MAX_FILE_TYPES = 8

FileOrUrl = Path | str


@dataclass(frozen=True, slots=True)
class Unpruned:
    """Documents of a folder that stay although their files are gone, because they are so many."""

    folder: Path
    documents: int
    """The documents of the folder before."""
    files: list[str]


@dataclass(slots=True)
class IngestResult:
    """The counts so far, and the files and pages that could not be read, with the reasons."""

    total: int = 0
    added: int = 0
    changed: int = 0
    updated: int = 0
    renamed: int = 0
    unchanged: int = 0
    unreadable: list[tuple[FileOrUrl, str]] = field(default_factory=list)
    missing: bool = False
    """Whether something that was named is not there, and was not to be pruned."""
    notes: list[tuple[FileOrUrl, str]] = field(default_factory=list)
    """What the parser left out of a document, or could not read."""
    prune: bool = False
    removed: list[str] = field(default_factory=list)
    """The files of the documents that were removed."""
    unpruned: list[Unpruned] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    """Files of documents that are there, but are left out now."""
    outdated: int = 0
    """Documents that an older parser read, in the whole library."""
    interrupted: int | None = None
    """The exit code of the signal that stopped the command."""

    def count(self, outcome: Outcome) -> None:
        """Count a file or page that was read."""
        match outcome:
            case "added":
                self.added += 1
            case "changed":
                self.changed += 1
            case "updated":
                self.updated += 1
            case "unchanged":
                self.unchanged += 1

    @property
    def readable(self) -> int:
        """Files and pages that could be read."""
        return self.added + self.changed + self.updated + self.renamed + self.unchanged

    @property
    def done(self) -> int:
        """Files and pages that need no more work."""
        return self.readable + len(self.unreadable)

    def exit_code(self, skipped: int) -> int:
        """Failed if a path is missing, or if none of the files, `skipped` ones included, could be read."""
        if self.interrupted:
            return self.interrupted
        if self.missing:
            return Exit.FAILED
        if self.readable or self.removed:
            return Exit.OK
        return Exit.FAILED if self.unreadable or self.unpruned or skipped else Exit.OK


def print_summary(result: IngestResult, found: FoundFiles, console: Console) -> None:
    """Print what was done, and what was not and why."""
    if result.unreadable:
        console.print(_unreadable_table(result.unreadable))
    for source, note in result.notes[:MAX_NAMES]:
        say(f"{one_line(str(source), 1_000)}: {one_line(note, 500)}")
    if len(result.notes) > MAX_NAMES:
        say(f"… and {len(result.notes) - MAX_NAMES:,} more notes: see GET /documents.")
    if found.skipped:
        say(f"Skipped files of other types: {_counted(found.skipped)}")
    if found.ignored:
        left_out = _counted(Counter(found.ignored.values()))
        say(f"Left out: {left_out}. To read such a file or folder, name it.")
    if result.ignored:
        say(f"Left out now, but their documents stay in the library: {_named(result.ignored)}")
    if result.removed:
        say(f"Removed, as their files are gone: {_named(result.removed)}")
    for one in result.unpruned:
        say(
            f"{len(one.files):,} of the {one.documents:,} documents of {one.folder} have lost their "
            f"files. They stay in the library; --prune removes them: {_named(one.files)}"
        )
    if result.outdated:
        say(
            f"{result.outdated:,} documents of the library were read by an older version; ingest "
            "them again to have them read by this one."
        )
    print(_counts(result))


def _counts(result: IngestResult) -> str:
    changes = {
        "changed": result.changed,
        "updated": result.updated,
        "renamed": result.renamed,
        "removed": len(result.removed),
    }
    shown = "".join(f"{name} {count:,}, " for name, count in changes.items() if count)
    stopped = "Stopped. The added documents stay: " if result.interrupted else ""
    return (
        f"{stopped}added {result.added:,}, {shown}unchanged {result.unchanged:,}, "
        f"could not read {len(result.unreadable):,}"
    )


def _counted(kinds: Counter[str]) -> str:
    more = ", …" if len(kinds) > MAX_FILE_TYPES else ""
    counts = [
        f"{count:,} {one_line(kind, 30)}" for kind, count in kinds.most_common(MAX_FILE_TYPES)
    ]
    return ", ".join(counts) + more


def _named(names: Sequence[str]) -> str:
    more = f", and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(one_line(name, 1_000) for name in names[:MAX_NAMES]) + more


def _unreadable_table(unreadable: list[tuple[FileOrUrl, str]]) -> Table:
    table = Table(title="Could not read", title_justify="left", box=None, pad_edge=False)
    table.add_column("Source", overflow="fold", style="bold")
    table.add_column("Reason", overflow="fold")
    for source, reason in unreadable[:MAX_ROWS]:
        table.add_row(Text(one_line(str(source), 1_000)), Text(one_line(reason, 500)))
    if len(unreadable) > MAX_ROWS:
        table.add_row("…", f"and {len(unreadable) - MAX_ROWS:,} more")
    return table
